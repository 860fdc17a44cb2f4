// The journey that every client makes: sign up, search, watch a trip's seats, hold two, see them held, release, see them free.
// A client is an object { query, mutate, subscribe }: the first two resolve to `data`, the last gives an async iterable of `data`.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

export const BASE = process.env.BERTH_URL ?? 'http://127.0.0.1:4000';
export const GRAPHQL = `${BASE}/graphql`;
export const GRAPHQL_WS = GRAPHQL.replace(/^http/, 'ws');

/** Two stations of the demo timetable with a direct train every day. */
const FROM = 'Gambir';
const TO = 'Cirebon';
const PATIENCE_MS = 15_000;

const SIGN_UP = /* GraphQL */ `
  mutation SignUp($input: SignUpInput!) {
    signUp(input: $input) {
      __typename
      ... on SignUpSuccess { flowId expiresAt }
      ... on UserError { code message }
    }
  }
`;

const VERIFY = /* GraphQL */ `
  mutation Verify($input: VerifyOtpInput!) {
    verifyOtp(input: $input) {
      __typename
      ... on SessionSuccess { session { accessToken refreshToken expiresAt } user { id email tier } }
      ... on UserError { code message }
    }
  }
`;

const STATIONS = /* GraphQL */ `
  query Stations($search: String!) {
    stations(search: $search, first: 5) { nodes { id name } }
  }
`;

const SEARCH = /* GraphQL */ `
  query Search($input: SearchTripsInput!) {
    searchTrips(input: $input, first: 10) {
      nodes { seatsAvailable trip { id name } from { id } to { id } }
    }
  }
`;

const ME = /* GraphQL */ `
  query Me {
    me { id email tier bookings(first: 1) { nodes { id } } }
  }
`;

const PLACE_HOLD = /* GraphQL */ `
  mutation PlaceHold($input: PlaceHoldInput!) {
    placeHold(input: $input) {
      __typename
      ... on PlaceHoldSuccess { hold { id status remainingMs items { ... on HeldSeat { id seat { id label state } } } } }
      ... on UserError { code message }
    }
  }
`;

const RELEASE_HOLD = /* GraphQL */ `
  mutation ReleaseHold($input: ReleaseHoldInput!) {
    releaseHold(input: $input) {
      __typename
      ... on ReleaseHoldSuccess { hold { id status } }
      ... on UserError { code message }
    }
  }
`;

const SEATS = /* GraphQL */ `
  subscription Seats($tripId: ID!, $from: ID, $to: ID) {
    seatAvailability(tripId: $tripId, fromStopId: $from, toStopId: $to) {
      tripId version kind seats { seatId state }
    }
  }
`;

/** Runs the whole journey; `connect(token)` makes the client once the person is signed in. */
export async function journey(connect) {
  const { email, token } = await signUp();
  const client = await connect(token);
  try {
    const { me } = await client.query(ME, {});
    assert.equal(me.email, email);
    assert.equal(me.tier, 'BASIC');

    const { trip, from, to } = await findTrip(client);
    const segment = { tripId: trip.id, fromStopId: from.id, toStopId: to.id };
    await watchHold(client, segment);
  } finally {
    await client.close?.();
  }
}

async function watchHold(client, segment) {
  const feed = new Feed(client.subscribe(SEATS, { tripId: segment.tripId, from: segment.fromStopId, to: segment.toStopId }));
  try {
    const snapshot = await feed.until((event) => event.kind === 'SNAPSHOT', 'a snapshot');
    assert.equal(snapshot.tripId, segment.tripId);
    assert.ok(snapshot.seats.length > 0);

    const items = [{ seats: { ...segment, select: { bestAvailable: { count: 2 } } } }];
    const { placeHold } = await client.mutate(PLACE_HOLD, { input: { items, idempotencyKey: randomUUID() } });
    assert.equal(placeHold.__typename, 'PlaceHoldSuccess', placeHold.message);
    const held = placeHold.hold.items.map((item) => item.seat.id);
    assert.equal(held.length, 2);
    await feed.until((event) => feed.all(held, 'HELD'), 'the two seats to be HELD');

    const { releaseHold } = await client.mutate(RELEASE_HOLD, { input: { holdId: placeHold.hold.id } });
    assert.equal(releaseHold.__typename, 'ReleaseHoldSuccess', releaseHold.message);
    assert.equal(releaseHold.hold.status, 'RELEASED');
    await feed.until((event) => feed.all(held, 'AVAILABLE'), 'the two seats to be AVAILABLE again');
  } finally {
    await feed.stop();
  }
}

/** A new person with a random address, signed in by the code in the mail. */
export async function signUp() {
  const email = `client-${randomUUID()}@example.com`;
  const password = `pw-${randomUUID()}`;
  const { signUp: started } = await post(SIGN_UP, { input: { email, password } });
  assert.equal(started.__typename, 'SignUpSuccess', started.message);
  const code = await mailedCode(email);
  const { verifyOtp: verified } = await post(VERIFY, { input: { flowId: started.flowId, code } });
  assert.equal(verified.__typename, 'SessionSuccess', verified.message);
  assert.equal(verified.user.email, email);
  return { email, token: verified.session.accessToken };
}

async function mailedCode(email) {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const response = await fetch(`${BASE}/dev/mail.json?to=${encodeURIComponent(email)}`);
    assert.equal(response.status, 200);
    const [newest] = await response.json();
    const code = newest?.text.match(/\b\d{6}\b/)?.[0];
    if (code) return code;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no code was mailed to ${email}`);
}

async function findTrip(client) {
  const fromStationId = await station(client, FROM);
  const toStationId = await station(client, TO);
  const date = new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10);
  const { searchTrips } = await client.query(SEARCH, { input: { fromStationId, toStationId, date, passengers: 2 } });
  const free = searchTrips.nodes.filter((option) => option.seatsAvailable >= 10);
  assert.ok(free.length > 0, `no train from ${FROM} to ${TO} on ${date}`);
  return free[Math.floor(Math.random() * free.length)];
}

async function station(client, name) {
  const { stations } = await client.query(STATIONS, { search: name });
  assert.ok(stations.nodes.length > 0, `the demo timetable has no station ${name}`);
  return (stations.nodes.find((found) => found.name === name) ?? stations.nodes[0]).id;
}

async function post(query, variables, token) {
  const response = await fetch(GRAPHQL, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

/** Reads a seatAvailability stream, keeps the latest state of each seat, and checks what the schema promises of it. */
class Feed {
  #stream;
  #states = new Map();
  #version = -1n;

  constructor(stream) {
    this.#stream = stream[Symbol.asyncIterator]();
  }

  all(seats, state) {
    return seats.every((seat) => this.#states.get(seat) === state);
  }

  /** The first event after which `seen(event)` holds. */
  async until(seen, what) {
    const late = new Error(`waited ${PATIENCE_MS} ms for ${what}`);
    let timer;
    const timeout = new Promise((_, reject) => {
      timer = setTimeout(() => reject(late), PATIENCE_MS);
    });
    try {
      for (;;) {
        const event = this.#take(await Promise.race([this.#stream.next(), timeout]), what);
        if (seen(event)) return event;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #take({ done, value }, what) {
    assert.ok(!done, `the stream ended before ${what}`);
    const event = value.seatAvailability;
    const version = BigInt(event.version);
    if (event.kind === 'SNAPSHOT') this.#states.clear();
    else assert.ok(version > this.#version, `version ${version} after ${this.#version}`);
    this.#version = version;
    for (const { seatId, state } of event.seats) this.#states.set(seatId, state);
    return event;
  }

  async stop() {
    await this.#stream.return?.();
  }
}
