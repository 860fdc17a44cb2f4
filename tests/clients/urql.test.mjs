// @urql/core: queries and mutations over HTTP, subscriptions twice: by its own fetch exchange (server-sent events or multipart,
// whichever the server prefers), and by graphql-ws through its subscription exchange.

import { test } from 'node:test';
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { GRAPHQL, GRAPHQL_WS, journey } from './journey.mjs';
import { iterate } from './observe.mjs';

test('urql makes the journey with subscriptions over fetch', () =>
  journey((token) => connect(token, [fetchExchange], { fetchSubscriptions: true })));

test('urql makes the journey with subscriptions over WebSocket', () =>
  journey((token) => {
    const socket = createClient({
      url: GRAPHQL_WS,
      webSocketImpl: WebSocket,
      connectionParams: { Authorization: `Bearer ${token}` },
    });
    const forwardSubscription = (operation) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...operation, query: operation.query ?? '' }, sink) }),
    });
    const client = connect(token, [fetchExchange, subscriptionExchange({ forwardSubscription })], {});
    return { ...client, close: () => socket.dispose() };
  }));

function connect(token, exchanges, options) {
  const client = new Client({
    url: GRAPHQL,
    exchanges,
    fetchOptions: { headers: { authorization: `Bearer ${token}` } },
    preferGetMethod: false,
    ...options,
  });
  return {
    query: async (query, variables) => dataOf(await client.query(query, variables).toPromise()),
    mutate: async (mutation, variables) => dataOf(await client.mutation(mutation, variables).toPromise()),
    subscribe: (query, variables) => iterate(client.subscription(query, variables), dataOf),
  };
}

function dataOf({ data, error }) {
  if (error) throw error;
  return data;
}
