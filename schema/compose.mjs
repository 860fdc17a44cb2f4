// Composes the four subgraph schemas into schema/supergraph.graphql and schema/api.graphql.
//
//   node schema/compose.mjs           write both files
//   node schema/compose.mjs --check   write nothing; exit 1 when a committed file differs from what would be written
//   --config FILE                     another supergraph.yaml (default: the one beside this folder)
//
// The first line of supergraph.graphql carries a fingerprint of its inputs, so that a Rust test can prove freshness without
// Node. It is the lower-case hex SHA-256 over, for each subgraph in the order of supergraph.yaml:
//   the name, one line feed, the bytes of its schema file, one zero byte.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assertCompositionSuccess, composeServices, sortSDL } from '@theguild/federation-composition';
import { parse, print, visit } from 'graphql';
import { parse as parseYaml } from 'yaml';

/** Directives that guard or price a field. Composition drops one silently when `@link` does not import it. */
const GUARDS = ['authenticated', 'requiresScopes', 'policy', 'cost', 'listSize'];

const here = dirname(fileURLToPath(import.meta.url));
const options = process.argv.slice(2);
const check = options.includes('--check');
const configAt = options.indexOf('--config');
const configFile = configAt >= 0 ? resolve(options[configAt + 1]) : resolve(here, '..', 'supergraph.yaml');

const subgraphs = readSubgraphs(configFile);
const result = composeServices(subgraphs.map(({ name, url, sdl }) => ({ name, url, typeDefs: parse(sdl) })));
if (result.errors) {
  for (const error of result.errors) console.error(`compose: ${error.message}`);
  process.exit(1);
}
assertCompositionSuccess(result);

const lost = lostGuards(subgraphs, result.supergraphSdl);
if (lost.length > 0) {
  console.error('compose: these directives stand in a subgraph but not in the supergraph:');
  for (const guard of lost) console.error(`  ${guard}`);
  process.exit(1);
}

const silent = undocumented(result.publicSdl);
if (silent.length > 0) {
  console.error(`compose: without a description: ${silent.join(', ')}`);
  process.exit(1);
}

const folder = dirname(configFile) === resolve(here, '..') ? here : join(dirname(configFile), 'schema');
const header = [
  `# subgraphs-sha256: ${fingerprint(subgraphs)}`,
  '# Written by schema/compose.mjs from supergraph.yaml. Do not edit: run `berth schema export`, then `node schema/compose.mjs`.',
  '',
].join('\n');
const files = [
  [join(folder, 'supergraph.graphql'), `${header}\n${result.supergraphSdl.trim()}\n`],
  [join(folder, 'api.graphql'), `${header}\n${print(sortSDL(parse(result.publicSdl)))}\n`],
];
process.exit(check ? compare(files) : write(files));

/** Names, routing URLs and schema texts, in the order of the file. */
function readSubgraphs(file) {
  const config = parseYaml(readFileSync(file, 'utf8'));
  return Object.entries(config.subgraphs).map(([name, entry]) => ({
    name,
    url: entry.routing_url,
    sdl: readFileSync(resolve(dirname(file), entry.schema.file), 'utf8'),
  }));
}

function fingerprint(subgraphs) {
  const hash = createHash('sha256');
  for (const { name, sdl } of subgraphs) hash.update(`${name}\n`).update(sdl).update('\0');
  return hash.digest('hex');
}

/** Every `Type.field @guard` of a document; types and extensions of types count alike. */
function guardsOf(sdl) {
  const found = new Set();
  const owners = [];
  const note = (node, coordinate) => {
    for (const directive of node.directives ?? []) {
      if (GUARDS.includes(directive.name.value)) found.add(`${coordinate} @${directive.name.value}`);
    }
  };
  const owner = {
    enter(node) {
      owners.push(node.name.value);
      note(node, node.name.value);
    },
    leave() {
      owners.pop();
    },
  };
  visit(parse(sdl), {
    ObjectTypeDefinition: owner,
    ObjectTypeExtension: owner,
    InterfaceTypeDefinition: owner,
    InputObjectTypeDefinition: owner,
    ScalarTypeDefinition: owner,
    EnumTypeDefinition: owner,
    FieldDefinition(node) {
      note(node, `${owners.at(-1)}.${node.name.value}`);
      for (const argument of node.arguments ?? []) {
        note(argument, `${owners.at(-1)}.${node.name.value}(${argument.name.value}:)`);
      }
    },
  });
  return found;
}

function lostGuards(subgraphs, supergraphSdl) {
  const kept = guardsOf(supergraphSdl);
  return subgraphs.flatMap(({ name, sdl }) => [...guardsOf(sdl)].filter((g) => !kept.has(g)).map((g) => `${name}: ${g}`));
}

/** Types, fields, arguments and enum values of the public schema that tell a reader nothing. */
function undocumented(sdl) {
  const found = [];
  for (const type of parse(sdl).definitions.filter((node) => node.name && node.kind !== 'DirectiveDefinition')) {
    const fields = [...(type.fields ?? []), ...(type.values ?? [])];
    const members = fields.flatMap((field) => [field, ...(field.arguments ?? [])]);
    for (const node of [type, ...members]) {
      if (!node.description) found.push(node === type ? type.name.value : `${type.name.value}.${node.name.value}`);
    }
  }
  return found;
}

function write(files) {
  for (const [file, text] of files) writeFileSync(file, text);
  console.log(`composed ${subgraphs.map((s) => s.name).join(', ')} into supergraph.graphql and api.graphql`);
  return 0;
}

function compare(files) {
  const stale = files.filter(([file, text]) => !existsSync(file) || readFileSync(file, 'utf8') !== text);
  for (const [file] of stale) console.error(`compose: ${file} is stale, run \`node schema/compose.mjs\``);
  if (stale.length === 0) console.log('the composed schema is fresh');
  return stale.length === 0 ? 0 : 1;
}
