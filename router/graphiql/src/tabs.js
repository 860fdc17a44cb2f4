// The five flows of a journey. Each tab runs as it is once its variables hold your own ids.

const day = (offset) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);
const key = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

const SEARCH = `# 1. Search. Run Stations first (the arrow offers all three) and put two ids
# into the variables; then Search; then SeatMap with a trip and two stops.

query Search($input: SearchTripsInput!) {
  searchTrips(input: $input, first: 10) {
    totalCount
    nodes {
      durationMinutes
      seatsAvailable
      from { id departureLocal station { name } }
      to { id arrivalLocal station { name } }
      fares { name travelClass seatsAvailable price { amount currency } }
      trip { id name operator { name } }
    }
  }
}

query Stations($search: String) {
  stations(search: $search, first: 20) {
    nodes { id name code timeZone }
  }
}

query SeatMap($tripId: ID!, $fromStopId: ID!, $toStopId: ID!) {
  trip(id: $tripId) {
    name
    seatMap(fromStopId: $fromStopId, toStopId: $toStopId) {
      version
      cars { label travelClass seats { id label state attributes price { amount currency } } }
    }
  }
}
`;

const HOLD = `# 2. Hold. Needs a signed-in person: run SignUp, read the code at /dev/mail, run
# VerifyOtp (later: SignIn). This page then stays signed in by itself. Then Hold.

mutation Hold($hold: PlaceHoldInput!) {
  placeHold(input: $hold) {
    ... on PlaceHoldSuccess {
      hold {
        id
        status
        expiresAt
        remainingMs
        total { amount currency }
        items { ... on HeldSeat { id seat { id label } price { amount currency } } }
      }
    }
    ... on SeatsUnavailableError { seats { id label } alternatives { id label } }
    ... on UserError { code message path }
  }
}

mutation SignUp($signUp: SignUpInput!) {
  signUp(input: $signUp) {
    ... on SignUpSuccess { flowId expiresAt }
    ... on UserError { code message path }
  }
}

mutation VerifyOtp($verify: VerifyOtpInput!) {
  verifyOtp(input: $verify) {
    ... on SessionSuccess { session { accessToken expiresAt } user { id email } }
    ... on UserError { code message path }
  }
}

mutation SignIn($signIn: SignInInput!) {
  signIn(input: $signIn) {
    ... on SessionSuccess { session { accessToken expiresAt } user { id email } }
    ... on UserError { code message path }
  }
}
`;

const PAY = `# 3. Pay. First CreateBooking from the hold, then Pay for the booking, then open
# /sandbox/pay/{paymentId} and press the button. WatchBooking shows each change.

mutation Pay($payment: CreatePaymentInput!) {
  createPayment(input: $payment) {
    ... on CreatePaymentSuccess {
      payment { id status method expiresAt amount { amount currency } qris { payload imageUrl } }
    }
    ... on UserError { code message path }
  }
}

mutation CreateBooking($booking: CreateBookingInput!) {
  createBooking(input: $booking) {
    ... on CreateBookingSuccess {
      booking { id code status expiresAt total { amount currency } parts { id title passengerName } }
    }
    ... on UserError { code message path }
  }
}

subscription WatchBooking($bookingId: ID!) {
  bookingStatus(bookingId: $bookingId) {
    id
    status
    tickets { id number }
  }
}
`;

const LIVE = `# 4. Live seats. The first event is the whole map, then only what changes.
# Keep it running and hold a seat in tab 2.

subscription LiveSeats($tripId: ID!, $fromStopId: ID, $toStopId: ID) {
  seatAvailability(tripId: $tripId, fromStopId: $fromStopId, toStopId: $toStopId) {
    version
    kind
    seats { seatId state }
  }
}
`;

const TICKETS = `# 5. My tickets. Needs the session of tab 2.

query MyTickets($when: TicketWhen) {
  me {
    email
    tier
    tickets(first: 20, when: $when) {
      totalCount
      nodes {
        number
        status
        passengerName
        seat { car seat travelClass }
        trip { name }
        from { departureLocal station { name } }
        to { arrivalLocal station { name } }
        validFrom
        validUntil
        qrUrl
      }
    }
    bookings(first: 10) {
      nodes { code status total { amount currency } }
    }
  }
}
`;

const tab = (query, variables) => ({ query, variables: JSON.stringify(variables, null, 2) });

export const tabs = () => [
  tab(SEARCH, {
    search: null,
    input: { fromStationId: 'station_...', toStationId: 'station_...', date: day(1), passengers: 1 },
    tripId: 'trip_...',
    fromStopId: 'stop_...',
    toStopId: 'stop_...',
  }),
  tab(HOLD, {
    signUp: { email: 'you@example.com', password: 'correct horse battery staple' },
    verify: { flowId: 'flow_...', code: '000000' },
    signIn: { email: 'you@example.com', password: 'correct horse battery staple' },
    hold: {
      items: [
        {
          seats: {
            tripId: 'trip_...',
            fromStopId: 'stop_...',
            toStopId: 'stop_...',
            select: { bestAvailable: { count: 1 } },
          },
        },
      ],
      idempotencyKey: key(),
    },
  }),
  tab(PAY, {
    booking: {
      holdId: 'hold_...',
      passengers: [{ heldSeatId: 'heldseat_...', details: { fullName: 'Your Name' } }],
      contact: { email: 'you@example.com' },
      idempotencyKey: key(),
    },
    payment: { bookingId: 'booking_...', method: { qris: {} }, idempotencyKey: key() },
    bookingId: 'booking_...',
  }),
  tab(LIVE, { tripId: 'trip_...', fromStopId: null, toStopId: null }),
  tab(TICKETS, { when: 'ALL' }),
];
