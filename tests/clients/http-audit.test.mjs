// The GraphQL-over-HTTP specification, as graphql-http's audits read it: every MUST and every SHOULD.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverAudits } from 'graphql-http';
import { GRAPHQL } from './journey.mjs';

for (const audit of serverAudits({ url: GRAPHQL, fetchFn: fetch })) {
  if (/^(MUST|SHOULD) /.test(audit.name)) {
    test(`${audit.id} ${audit.name}`, async () => {
      const result = await audit.fn();
      assert.equal(result.status, 'ok', await explain(result));
    });
  }
}

async function explain({ reason, response }) {
  return `${reason} (HTTP ${response?.status}, ${response?.headers.get('content-type')})`;
}
