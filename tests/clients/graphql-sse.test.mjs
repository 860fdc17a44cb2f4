// graphql-sse, distinct connections mode: every operation is a request that answers with server-sent events.

import { test } from 'node:test';
import { createClient } from 'graphql-sse';
import { GRAPHQL, journey } from './journey.mjs';

test('graphql-sse makes the journey over server-sent events', () => journey(connect));

function connect(token) {
  const client = createClient({
    url: GRAPHQL,
    headers: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  async function* results(query, variables) {
    for await (const { data, errors } of client.iterate({ query, variables })) {
      if (errors) throw new AggregateError(errors, JSON.stringify(errors));
      yield data;
    }
  }
  const once = async (query, variables) => {
    for await (const data of results(query, variables)) return data;
    throw new Error('no result');
  };
  return { query: once, mutate: once, subscribe: results, close: () => client.dispose() };
}
