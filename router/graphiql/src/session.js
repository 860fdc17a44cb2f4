// After signIn or verifyOtp the explorer is signed in, in every tab, until the browser tab closes.
const KEY = 'berth.accessToken';

const hasAuthorization = (headers) => Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');

/** Adds the session's token unless the headers bring one. */
export function withSession(headers = {}) {
  const token = sessionStorage.getItem(KEY);
  return token && !hasAuthorization(headers) ? { ...headers, authorization: `Bearer ${token}` } : headers;
}

/** Looks for a new access token anywhere in an answer. */
export function rememberSession(value) {
  if (typeof value !== 'object' || value === null) return;
  if (typeof value.accessToken === 'string') sessionStorage.setItem(KEY, value.accessToken);
  Object.values(value).forEach(rememberSession);
}

export function forgetSession() {
  sessionStorage.removeItem(KEY);
}
