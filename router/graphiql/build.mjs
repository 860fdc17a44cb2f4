// Bundles GraphiQL into `dist/`, which is committed: `npm ci && npm run build`.
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

await rm('dist', { recursive: true, force: true });
await mkdir('dist');

const shared = {
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  legalComments: 'external',
  define: { 'process.env.NODE_ENV': '"production"' },
  logLevel: 'warning',
};

await build({
  ...shared,
  entryPoints: { graphiql: 'src/main.jsx' },
  outdir: 'dist',
  loader: { '.ttf': 'dataurl', '.woff2': 'dataurl' },
  jsx: 'automatic',
});
await build({
  ...shared,
  outdir: 'dist',
  entryPoints: {
    'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
    'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
  },
});
await copyFile('src/index.html', 'dist/index.html');

// The lockfile names versions and hashes, not the address of a registry.
const lock = JSON.parse(await readFile('package-lock.json', 'utf8'));
for (const entry of Object.values(lock.packages)) delete entry.resolved;
await writeFile('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
