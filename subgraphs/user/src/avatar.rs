//! The picture of a person: which files are taken for one, and what is wrong with the others. What a decoder can't be trusted to
//! refuse (files that end early, lengths that lie) is refused here, before it sees them.

use chrono::{DateTime, Utc};

use crate::error::{Error, Refusal};

/// Longest file, in bytes: the public port takes no longer body.
pub const MAX_BYTES: usize = 256 * 1024;

/// Kind of a picture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// `WebP`.
    Webp,
}

/// Why a file is no picture of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// More than [`MAX_BYTES`].
    TooLong,
    /// Neither PNG nor JPEG nor `WebP`, or not the kind that it says it is.
    OtherType,
    /// It ends early, is damaged, or moves.
    Unreadable,
    /// Too many pixels.
    TooLarge,
}

/// Why a picture was not taken.
#[derive(Debug)]
pub enum Rejected {
    /// Because of the file.
    Unfit(Unfit),
    /// Because of anything else.
    Failed(Error),
}

/// A picture as it is kept.
#[derive(Debug, Clone)]
pub struct Avatar {
    /// Name of its file: nobody guesses it, it says nothing about the person, and each picture has another.
    pub file: String,
    /// The file.
    pub image: Vec<u8>,
    /// When it was taken.
    pub created_at: DateTime<Utc>,
}

impl Format {
    /// What a `Content-Type` says.
    pub fn named(content_type: &str) -> Option<Self> {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        [Self::Png, Self::Jpeg, Self::Webp].into_iter().find(|format| format.content_type() == kind)
    }

    /// What the first bytes say.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }

    /// Of the file with this name.
    pub fn of_file(file: &str) -> Option<Self> {
        let (_, ending) = file.rsplit_once('.')?;
        [Self::Png, Self::Jpeg, Self::Webp].into_iter().find(|format| format.ending() == ending)
    }

    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// How names of such files end.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }
}

/// The kind of a file that came as `content_type`, and its bytes up to the end of the picture: what follows is not looked at.
pub fn examine<'f>(content_type: Option<&str>, bytes: &'f [u8]) -> Result<(Format, &'f [u8]), Unfit> {
    if bytes.len() > MAX_BYTES {
        return Err(Unfit::TooLong);
    }
    let format = Format::of(bytes).filter(|format| content_type.and_then(Format::named) == Some(*format));
    let format = format.ok_or(Unfit::OtherType)?;
    let picture = match format {
        Format::Png => Some(bytes),
        Format::Jpeg => whole_jpeg(bytes),
        Format::Webp => whole_webp(bytes),
    };
    picture.map(|picture| (format, picture)).ok_or(Unfit::Unreadable)
}

/// A JPEG up to its end marker; `None` without one: decoders fill what is missing with grey.
fn whole_jpeg(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        match (*bytes.get(at)?, *bytes.get(at + 1)?) {
            (0xff, 0xd9) => return bytes.get(..at + 2),
            (0xff, 0xda) => at = after_scan(bytes, at + 2 + length(bytes, at + 2)?)?,
            (0xff, 0x02..=0xcf | 0xdb..=0xfe) => at += 2 + length(bytes, at + 2)?,
            _ => at += 1,
        }
    }
}

fn length(bytes: &[u8], at: usize) -> Option<usize> {
    let length: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(length)))
}

/// Where the coded pixels end that begin at `from`: at the next marker that may not stand among them.
fn after_scan(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
    rest.windows(2).position(ends).map(|found| from + found)
}

/// A `WebP` up to its end; `None` when a part of it is not there, or when it moves. A decoder reserves as much memory as a part
/// claims to need.
fn whole_webp(bytes: &[u8]) -> Option<&[u8]> {
    let picture = bytes.get(..word(bytes, 4)?.checked_add(8)?)?;
    let mut at = 12;
    while at < picture.len() {
        let size = word(picture, at + 4)?;
        if picture[at..].starts_with(b"ANIM") || picture[at..].starts_with(b"ANMF") {
            return None;
        }
        // Parts begin at even places. Some writers leave the last filling byte out.
        at = at.checked_add(8)?.checked_add(size)?;
        picture.get(..at)?;
        at += at % 2;
    }
    Some(picture)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(word)).ok()
}

impl From<Unfit> for Rejected {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(refusal.into())
    }
}

impl From<Error> for Rejected {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] =
        &[0xff, 0xd8, 0xff, 0xe0, 0, 4, 0xff, 0xd9, 0xff, 0xda, 0, 3, 1, 7, 0xff, 0, 0xff, 0xd0, 9, 0xff, 0xd9, b'P', b'K'];

    #[test]
    fn a_jpeg_ends_at_its_end_marker() {
        let (format, picture) = examine(Some("image/jpeg"), JPEG).expect("a picture");
        assert_eq!((format, picture.len()), (Format::Jpeg, JPEG.len() - 2));
        for length in 3..picture.len() {
            assert_eq!(examine(Some("image/jpeg"), &JPEG[..length]), Err(Unfit::Unreadable), "{length}");
        }
    }

    #[test]
    fn parts_of_a_webp_are_all_there() {
        let webp = |claimed: u32, part: &[u8; 4], size: u32, body: &[u8]| {
            [b"RIFF", &claimed.to_le_bytes()[..], b"WEBP", part, &size.to_le_bytes(), body].concat()
        };
        let examined = |file: &[u8]| examine(Some("image/webp"), file).map(|(_, picture)| picture.len());
        assert_eq!(examined(&webp(16, b"VP8 ", 4, b"data and more")), Ok(24));
        assert_eq!(examined(&webp(15, b"VP8 ", 3, b"dat")), Ok(23));
        assert_eq!(examined(&webp(17, b"VP8 ", 4, b"data")), Err(Unfit::Unreadable));
        assert_eq!(examined(&webp(16, b"EXIF", u32::MAX, b"data")), Err(Unfit::Unreadable));
        assert_eq!(examined(&webp(16, b"ANMF", 4, b"data")), Err(Unfit::Unreadable));
    }

    #[test]
    fn a_file_is_what_it_says_it_is() {
        let png = b"\x89PNG\r\n\x1a\nrest";
        assert!(examine(Some("Image/PNG; charset=binary"), png).is_ok());
        for content_type in [None, Some("image/jpeg"), Some("image/*"), Some("text/html"), Some("")] {
            assert_eq!(examine(content_type, png), Err(Unfit::OtherType), "{content_type:?}");
        }
        assert_eq!(examine(Some("image/png"), b"<svg xmlns='http://www.w3.org/2000/svg'/>"), Err(Unfit::OtherType));
        assert_eq!(examine(Some("image/png"), &[png.as_slice(), &vec![0; MAX_BYTES]].concat()), Err(Unfit::TooLong));
    }
}
