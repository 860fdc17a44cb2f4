//! Where pictures are drawn anew, a few at a time: only the pixels of what somebody sent are kept, as a square of 256 x 256. So no
//! place, no camera, no thumbnail and no second file in it is ever shown to anybody.

use std::{io::Cursor, sync::Arc};

use chrono::TimeDelta;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageReader, Limits,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType as PngFilter, PngEncoder},
    },
    imageops::FilterType,
    metadata::Orientation,
};
use tokio::sync::Semaphore;

use crate::{
    avatar::{Format, Rejected, Unfit},
    error::{Error, Refusal},
};

/// How many pictures are drawn at the same time: each may take [`MAX_MEMORY`] twice.
const AT_ONCE: usize = 2;
/// How many may wait for that.
const QUEUE: usize = 32;
/// Longest side of what is read, in pixels.
const MAX_SIDE: u32 = 4096;
/// Most pixels of what is read: as a camera of 8 megapixels makes them.
const MAX_PIXELS: u64 = 8_400_000;
/// Most memory for the pixels of what is read.
const MAX_MEMORY: u64 = 64 * 1024 * 1024;
/// Side of what is kept, in pixels.
const SIDE: u32 = 256;
/// Of what is kept as JPEG, in per cent.
const QUALITY: u8 = 85;

/// A picture that was drawn anew.
#[derive(Debug, PartialEq, Eq)]
pub struct Drawn {
    /// JPEG, or PNG when something can be seen through it.
    pub format: Format,
    /// The file.
    pub image: Vec<u8>,
}

/// Draws pictures on threads of their own.
pub struct Darkroom {
    permits: Arc<Semaphore>,
    queue: Semaphore,
}

impl Default for Darkroom {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), queue: Semaphore::new(AT_ONCE + QUEUE) }
    }
}

impl Darkroom {
    /// Draws a picture anew, holding a permit to the very end, even when the caller has gone.
    pub async fn redraw(&self, format: Format, file: Vec<u8>) -> Result<Drawn, Rejected> {
        let busy = |_| Refusal::RateLimited { retry_after: TimeDelta::seconds(1) };
        let _place = self.queue.try_acquire().map_err(busy)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|why| Error::library("drawing", &why))?;
        let drawn = tokio::task::spawn_blocking(move || {
            let drawn = redraw(format, &file);
            drop(permit);
            drawn
        });
        match drawn.await {
            Ok(drawn) => drawn,
            // A decoder that gives up on a file takes nobody with it.
            Err(ended) => {
                tracing::warn!(reason = %ended, "avatar.decoder.gave_up");
                Err(Unfit::Unreadable.into())
            }
        }
    }
}

fn redraw(format: Format, file: &[u8]) -> Result<Drawn, Rejected> {
    let (picture, orientation) = read(format, file)?;
    // Cut first: to scale a long strip to its narrow side would take more memory than it brought.
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let mut square = picture.crop_imm(left, top, side, side).resize_exact(SIDE, SIDE, FilterType::Lanczos3);
    square.apply_orientation(orientation);
    write(&square).map_err(|why| Error::library("writing a picture", &why).into())
}

fn read(format: Format, file: &[u8]) -> Result<(DynamicImage, Orientation), Unfit> {
    let mut reader = ImageReader::with_format(Cursor::new(file), of(format));
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| unfit(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_MEMORY {
        return Err(Unfit::TooLarge);
    }
    // Damaged notes about a picture do not damage the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| unfit(&error))?;
    Ok((picture, orientation))
}

const fn of(format: Format) -> image::ImageFormat {
    match format {
        Format::Png => image::ImageFormat::Png,
        Format::Jpeg => image::ImageFormat::Jpeg,
        Format::Webp => image::ImageFormat::WebP,
    }
}

fn unfit(error: &ImageError) -> Unfit {
    if matches!(error, ImageError::Limits(_)) { Unfit::TooLarge } else { Unfit::Unreadable }
}

fn write(square: &DynamicImage) -> Result<Drawn, ImageError> {
    let mut image = Vec::new();
    let pixels = square.to_rgba8();
    let format = if pixels.pixels().all(|pixel| pixel.0[3] == u8::MAX) {
        JpegEncoder::new_with_quality(&mut image, QUALITY).encode_image(&square.to_rgb8())?;
        Format::Jpeg
    } else {
        let encoder = PngEncoder::new_with_quality(&mut image, CompressionType::Best, PngFilter::Adaptive);
        encoder.write_image(&pixels, SIDE, SIDE, ExtendedColorType::Rgba8)?;
        Format::Png
    };
    Ok(Drawn { format, image })
}
