//! The GraphQL documents that a front end would send.

/// Signs up.
pub const SIGN_UP: &str = "mutation($input: SignUpInput!) { signUp(input: $input) { __typename
  ... on SignUpSuccess { flowId expiresAt } ... on UserError { code message path } } }";

/// Proves the address.
pub const VERIFY_OTP: &str = "mutation($input: VerifyOtpInput!) { verifyOtp(input: $input) { __typename
  ... on SessionSuccess { session { accessToken refreshToken expiresAt } user { id email tier } } ... on UserError { code message path } } }";

/// Asks for another one-time password.
pub const RESEND_OTP: &str = "mutation($input: ResendOtpInput!) { resendOtp(input: $input) { __typename
  ... on ResendOtpSuccess { flowId expiresAt } ... on UserError { code message path } } }";

/// Signs in.
pub const SIGN_IN: &str = "mutation($input: SignInInput!) { signIn(input: $input) { __typename
  ... on SessionSuccess { session { accessToken refreshToken expiresAt } user { id email tier } } ... on UserError { code message path } } }";

/// Rotates the refresh token.
pub const REFRESH_SESSION: &str = "mutation($input: RefreshSessionInput!) { refreshSession(input: $input) { __typename
  ... on SessionSuccess { session { accessToken refreshToken expiresAt } user { id email tier } } ... on UserError { code message path } } }";

/// Completes the profile.
pub const UPDATE_PROFILE: &str = "mutation($input: UpdateProfileInput!) { updateProfile(input: $input) { __typename
  ... on UpdateProfileSuccess { user { id tier profile { fullName birthDate phone idType idNumberMasked address } } }
  ... on UserError { code message path } } }";

/// Adds a passenger.
pub const ADD_PASSENGER: &str = "mutation($input: AddPassengerInput!) { addPassenger(input: $input) { __typename
  ... on AddPassengerSuccess { passenger { id fullName idType idNumberMasked birthDate } } ... on UserError { code message path } } }";

/// Holds seats.
pub const PLACE_HOLD: &str = "mutation($input: PlaceHoldInput!) { placeHold(input: $input) { __typename
  ... on PlaceHoldSuccess { hold { id status expiresAt remainingMs total { amount amountMinor currency }
    items { ... on HeldSeat { id seat { id label } price { amountMinor } } } } }
  ... on SeatsUnavailableError { seats { id state } alternatives { id state } } ... on UserError { code message path } } }";

/// Gives a hold back.
pub const RELEASE_HOLD: &str = "mutation($input: ReleaseHoldInput!) { releaseHold(input: $input) { __typename
  ... on ReleaseHoldSuccess { hold { id status } } ... on UserError { code message path } } }";

/// Makes a booking of a hold.
pub const CREATE_BOOKING: &str = "mutation($input: CreateBookingInput!) { createBooking(input: $input) { __typename
  ... on CreateBookingSuccess { booking { id code status expiresAt total { amount amountMinor currency }
    parts { id kind status title passengerName seat { car seat travelClass } price { amountMinor } } contact { email } } }
  ... on UserError { code message path } } }";

/// Cancels a booking.
pub const CANCEL_BOOKING: &str = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { __typename
  ... on CancelBookingSuccess { booking { id status } } ... on UserError { code message path } } }";

/// Begins a payment.
pub const CREATE_PAYMENT: &str = "mutation($input: CreatePaymentInput!) { createPayment(input: $input) { __typename
  ... on CreatePaymentSuccess { payment { id status method amount { amount amountMinor currency } qris { payload imageUrl } expiresAt } }
  ... on UserError { code message path } } }";

/// A hold by id.
pub const HOLD: &str =
    "query($id: ID!) { hold(id: $id) { id status expiresAt remainingMs items { ... on HeldSeat { id seat { id } } } } }";

/// A booking with all that hangs on it.
pub const BOOKING: &str = "query($id: ID!) { booking(id: $id) { id code status total { amountMinor currency }
  parts { id status passengerName seat { car seat } }
  tickets { id number status passengerName seat { car seat } qr qrUrl }
  payments { id status amount { amountMinor } history { at status note } } } }";

/// A payment by id.
pub const PAYMENT: &str =
    "query($id: ID!) { payment(id: $id) { id status method amount { amountMinor currency } history { at status note } } }";

/// A seat map.
pub const SEAT_MAP: &str =
    "query($trip: ID!, $from: ID!, $to: ID!) { trip(id: $trip) { seatMap(fromStopId: $from, toStopId: $to) {
  version cars { id label travelClass seats { id label state } } } } }";

/// Live seats of a segment.
pub const SEAT_AVAILABILITY: &str = "subscription($trip: ID!, $from: ID, $to: ID, $since: BigInt) {
  seatAvailability(tripId: $trip, fromStopId: $from, toStopId: $to, sinceVersion: $since) { tripId version kind seats { seatId state } } }";

/// Each change of a booking.
pub const BOOKING_STATUS: &str = "subscription($id: ID!) { bookingStatus(bookingId: $id) { id status } }";

/// Each change of a payment.
pub const PAYMENT_STATUS: &str = "subscription($id: ID!) { paymentStatus(paymentId: $id) { id status } }";

/// The person, their bookings and their tickets.
pub const ME: &str = "{ me { id email tier bookings(first: 100) { nodes { id code status } totalCount }
  tickets(first: 100) { nodes { id number status } } } }";
