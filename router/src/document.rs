//! Limits that hold before the document is parsed, so that the parser never sees a hostile one.

use crate::{config::Limits, refusal::Refusal, walk::within};

/// Brackets that may be open at once: far more than any honest document, far less than a stack.
const MAX_NESTING: usize = 64;

/// Measures a document. Refuses one that is too long, has too many tokens or is nested too deeply.
pub(crate) fn check(query: &str, limits: &Limits) -> Result<Size, Refusal> {
    within("QUERY_TOO_LARGE", "bytes", query.len() as u64, limits.query_bytes)?;
    let size = measure(query.as_bytes());
    within("TOKEN_LIMIT_EXCEEDED", "tokens", size.tokens as u64, limits.tokens)?;
    within("MAX_DEPTH_EXCEEDED", "brackets inside each other", size.nesting as u64, MAX_NESTING)?;
    Ok(size)
}

/// Refuses JSON whose values are nested so deeply that reading it would exhaust the stack.
pub(crate) fn check_json_nesting(body: &[u8]) -> Result<(), Refusal> {
    let mut open = 0_usize;
    let mut at = 0;
    while at < body.len() {
        match body[at] {
            b'"' => at = end_of_string(body, at),
            b'{' | b'[' => {
                open += 1;
                if open > MAX_NESTING {
                    return Err(Refusal::bad_request("The request body is nested too deeply."));
                }
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The size of a document's text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub bytes: usize,
    pub tokens: usize,
    nesting: usize,
}

fn measure(source: &[u8]) -> Size {
    let mut size = Size { bytes: source.len(), ..Size::default() };
    let mut open = 0_usize;
    let mut at = 0;
    while at < source.len() {
        let byte = source[at];
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {}
            b'#' => at = skip_while(source, at, |byte| byte != b'\n'),
            b'"' => {
                size.tokens += 1;
                at = end_of_graphql_string(source, at);
            }
            b'{' | b'(' | b'[' => {
                size.tokens += 1;
                open += 1;
                size.nesting = size.nesting.max(open);
            }
            b'}' | b')' | b']' => {
                size.tokens += 1;
                open = open.saturating_sub(1);
            }
            _ if is_word(byte) => {
                size.tokens += 1;
                at = skip_while(source, at, is_word);
            }
            _ => size.tokens += 1,
        }
        at += 1;
    }
    size
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// The last index from `at` on whose byte still fits.
fn skip_while(source: &[u8], at: usize, fits: impl Fn(u8) -> bool) -> usize {
    let rest = source[at..].iter().take_while(|byte| fits(**byte)).count();
    at + rest.max(1) - 1
}

fn end_of_graphql_string(source: &[u8], at: usize) -> usize {
    if source[at..].starts_with(b"\"\"\"") { end_of_block_string(source, at + 3) } else { end_of_string(source, at) }
}

fn end_of_block_string(source: &[u8], mut at: usize) -> usize {
    while at < source.len() {
        if source[at..].starts_with(b"\\\"\"\"") {
            at += 4;
        } else if source[at..].starts_with(b"\"\"\"") {
            return at + 2;
        } else {
            at += 1;
        }
    }
    at
}

/// Index of the closing quote, or the end.
fn end_of_string(source: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < source.len() {
        match source[at] {
            b'\\' => at += 1,
            b'"' => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_tokens_like_a_lexer() {
        let size = measure(
            br#"query Q($a: Int = -1) { a: b(x: "} { \" ", y: """{""" ) # { {
          ...F }"#,
        );
        assert_eq!((size.tokens, size.nesting), (24, 2));
    }

    #[test]
    fn refuses_what_is_too_large() {
        let limits = Limits::default();
        let code = |query: &str| check(query, &limits).map(drop).map_err(|refusal| refusal.code);
        assert_eq!(code("{ me { id } }"), Ok(()));
        assert_eq!(code(&" ".repeat(16 * 1024 + 1)), Err("QUERY_TOO_LARGE"));
        assert_eq!(code(&"a ".repeat(2_001)), Err("TOKEN_LIMIT_EXCEEDED"));
        assert_eq!(code(&"{a".repeat(65)), Err("MAX_DEPTH_EXCEEDED"));
    }

    #[test]
    fn json_nesting_ignores_brackets_in_strings() {
        assert!(check_json_nesting(br#"{"a":"[[[[[[\"[[["}"#).is_ok());
        assert!(check_json_nesting("[".repeat(65).as_bytes()).is_err());
    }

    #[test]
    fn unfinished_strings_end_at_the_end() {
        assert_eq!(measure(b"\"abc\\").tokens, 1);
        assert_eq!(measure(b"\"\"\"abc").tokens, 1);
    }
}
