// graphql-ws: queries, mutations and subscriptions over one WebSocket (graphql-transport-ws).

import { test } from 'node:test';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { GRAPHQL_WS, journey } from './journey.mjs';

test('graphql-ws makes the journey over one socket', () => journey(connect));

function connect(token) {
  const client = createClient({
    url: GRAPHQL_WS,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  const once = async (query, variables) => {
    for await (const { data, errors } of client.iterate({ query, variables })) {
      if (errors) throw new AggregateError(errors, JSON.stringify(errors));
      return data;
    }
    throw new Error('no result');
  };
  return {
    query: once,
    mutate: once,
    async *subscribe(query, variables) {
      for await (const { data, errors } of client.iterate({ query, variables })) {
        if (errors) throw new AggregateError(errors, JSON.stringify(errors));
        yield data;
      }
    },
    close: () => client.dispose(),
  };
}
