import './environment.js';
import React from 'react';
import { createRoot } from 'react-dom/client';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { createClient } from 'graphql-ws';
import 'graphiql/style.css';
import './page.css';
import { tabs } from './tabs.js';
import { forgetSession, rememberSession, withSession } from './session.js';

const endpoint = new URL('/graphql', location.href);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol === 'https:' ? 'wss:' : 'ws:';

/** Sends with the session's token and learns the session from answers. */
async function fetchWithSession(url, options) {
  const response = await fetch(url, { ...options, headers: withSession(options.headers) });
  if (response.status === 401) forgetSession();
  if ((response.headers.get('content-type') ?? '').includes('json')) {
    response.clone().json().then(rememberSession, () => {});
  }
  return response;
}

function fetcher(params, options) {
  const headers = options?.headers ?? {};
  return createGraphiQLFetcher({
    url: endpoint.href,
    fetch: fetchWithSession,
    wsClient: createClient({ url: socket.href, connectionParams: () => withSession(headers), retryAttempts: 0 }),
  })(params, options);
}

const flows = tabs();
// GraphiQL shows the variables of a seeded tab only when it becomes the active one.
const firstVisit = localStorage.getItem('graphiql:tabState') === null;
const shown = firstVisit ? { initialQuery: flows[0].query, initialVariables: flows[0].variables } : {};

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={flows}
    {...shown}
    defaultEditorToolsVisibility="variables"
    plugins={[HISTORY_PLUGIN]}
    inputValueDeprecation
  >
    <GraphiQL.Logo>Berth</GraphiQL.Logo>
  </GraphiQL>,
);
