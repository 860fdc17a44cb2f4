// The editor's workers come from the same place as this script, so that it works offline.
const workers = { json: 'json.worker.js', graphql: 'graphql.worker.js' };

globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(`/graphiql/${workers[label] ?? 'editor.worker.js'}`),
};
