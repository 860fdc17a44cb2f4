// Apollo Client: queries and mutations over HTTP, subscriptions over its multipart protocol, all through one HttpLink.

import { test } from 'node:test';
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { GRAPHQL, journey } from './journey.mjs';
import { iterate } from './observe.mjs';

test('Apollo Client makes the journey over HTTP and multipart', () => journey(connect));

function connect(token) {
  const client = new ApolloClient({
    link: new HttpLink({ uri: GRAPHQL, headers: { authorization: `Bearer ${token}` } }),
    cache: new InMemoryCache(),
  });
  return {
    query: async (query, variables) => (await client.query({ query: gql(query), variables })).data,
    mutate: async (mutation, variables) => (await client.mutate({ mutation: gql(mutation), variables })).data,
    subscribe: (query, variables) => iterate(client.subscribe({ query: gql(query), variables, fetchPolicy: 'no-cache' }), dataOf),
    close: () => client.stop(),
  };
}

function dataOf({ data, error }) {
  if (error) throw error;
  return data;
}
