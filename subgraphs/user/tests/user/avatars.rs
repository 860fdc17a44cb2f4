//! Pictures of people, through the public routes as the front door forwards them.

use std::io::Cursor;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    admins::{admin, suspend},
    privacy::{delete, export, neighbours},
    world::{Person, World},
};

const ME: &str = "{ me { avatarUrl } }";
const LIST: &str = "query($search: String) { accounts(search: $search) { nodes { id avatarUrl } } }";
const REMOVE: &str = "mutation { r: removeAvatar { __typename ... on RemoveAvatarSuccess { user { id avatarUrl } } } }";

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }

    fn code(&self) -> String {
        let body = self.json();
        body["errors"][0]["extensions"]["code"].as_str().expect("a code").to_owned()
    }

    fn picture(&self) -> RgbaImage {
        assert_eq!(self.status, StatusCode::OK);
        let format = ImageFormat::from_mime_type(self.header("content-type")).expect("a picture");
        image::load_from_memory_with_format(&self.body, format).expect("a picture").to_rgba8()
    }
}

async fn ask(world: &World, request: Request<Body>) -> Answer {
    let answer = world.public().oneshot(request).await.expect("an answer");
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

async fn send(world: &World, access: Option<&str>, content_type: &str, file: impl Into<Body>) -> Answer {
    let mut request = Request::builder().method(Method::POST).uri("/me/avatar").header(header::CONTENT_TYPE, content_type);
    if let Some(access) = access {
        request = request.header(header::AUTHORIZATION, format!("Bearer {access}"));
    }
    ask(world, request.body(file.into()).expect("a request")).await
}

/// Sends a good file; answers its address.
async fn set(world: &World, person: &Person, content_type: &str, file: Vec<u8>) -> String {
    let answer = send(world, Some(&person.access), content_type, file).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
    let url = answer.json()["avatarUrl"].as_str().expect("an address").to_owned();
    assert_eq!(answer.header("location"), url);
    url
}

async fn get(world: &World, url: &str, tag: Option<&str>) -> Answer {
    let path = url.strip_prefix("http://127.0.0.1:4000").expect("an address of the public port");
    let mut request = Request::builder().uri(path);
    if let Some(tag) = tag {
        request = request.header(header::IF_NONE_MATCH, tag);
    }
    ask(world, request.body(Body::empty()).expect("a request")).await
}

async fn shown(world: &World, person: &Person) -> Value {
    world.data(Some(&person.access), ME, json!({})).await["me"]["avatarUrl"].take()
}

/// Red on the left, blue on the right, and green strips outside of the middle square.
fn flag() -> RgbImage {
    RgbImage::from_fn(600, 400, |x, _| match x {
        0..100 | 500.. => Rgb([0, 255, 0]),
        100..300 => Rgb([255, 0, 0]),
        _ => Rgb([0, 0, 255]),
    })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.into().write_to(&mut file, format).expect("a file");
    file.into_inner()
}

/// A JPEG with a note of where it was taken that also says it lies on its side: 6 is "turn right to see it".
fn with_exif(jpeg: &[u8]) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: &[u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), value].concat()
    };
    let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    tiff.extend(entry(0x010f, 2, 12, &[0, 0, 0, 38]));
    tiff.extend(entry(0x0112, 3, 1, &[0, 6, 0, 0]));
    tiff.extend([0; 4]);
    tiff.extend(b"Jl. Rahasia\0");
    let length = u16::try_from(tiff.len() + 8).expect("short").to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, b"Exif\0\0", &tiff, &jpeg[2..]].concat()
}

fn close(pixel: Rgba<u8>, wanted: [u8; 3]) -> bool {
    pixel.0.iter().zip(wanted).all(|(have, want)| have.abs_diff(want) < 40)
}

/// A PNG header that claims a size, with pixels of none.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(RgbImage::new(1, 1), ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc32(&png[12..29]).to_be_bytes();
    png[29..33].copy_from_slice(&sum);
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_each_kind_becomes_a_square() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    assert_eq!(shown(&world, &siti).await, Value::Null);
    for (content_type, format) in
        [("image/png", ImageFormat::Png), ("image/jpeg", ImageFormat::Jpeg), ("image/webp", ImageFormat::WebP)]
    {
        let url = set(&world, &siti, content_type, encoded(flag(), format)).await;
        assert_eq!(shown(&world, &siti).await, url);
        assert!(!url.contains(siti.id.trim_start_matches("user_")), "the address names nobody");
        let kept = get(&world, &url, None).await;
        let square = kept.picture();
        assert_eq!(square.dimensions(), (256, 256), "{content_type}");
        assert!(
            close(*square.get_pixel(8, 128), [255, 0, 0]) && close(*square.get_pixel(248, 128), [0, 0, 255]),
            "{content_type}"
        );
        assert_eq!(kept.header("content-type"), "image/jpeg");
        assert_eq!(kept.header("cache-control"), "public, max-age=31536000, immutable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_seen_through_stays_so() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let glass = RgbaImage::from_pixel(40, 90, Rgba([10, 20, 30, 60]));
    let url = set(&world, &siti, "image/webp", encoded(glass, ImageFormat::WebP)).await;
    assert_eq!(url.rsplit_once('.').map(|(_, ending)| ending), Some("png"));
    let kept = get(&world, &url, None).await.picture();
    assert_eq!((kept.dimensions(), kept.get_pixel(128, 128).0[3]), ((256, 256), 60));
    let thin = set(&world, &siti, "image/png", encoded(RgbImage::new(4096, 1), ImageFormat::Png)).await;
    assert_eq!(get(&world, &thin, None).await.picture().dimensions(), (256, 256));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_pixels_is_kept_and_they_stand_upright() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let mut file = with_exif(&encoded(flag(), ImageFormat::Jpeg));
    file.extend(b"PK\x03\x04<script>alert(1)</script>");
    let url = set(&world, &siti, "image/jpeg", file).await;
    let kept = get(&world, &url, None).await;
    for secret in [&b"Exif"[..], b"Rahasia", b"PK\x03\x04", b"<script>"] {
        assert!(!kept.body.windows(secret.len()).any(|bytes| bytes == secret), "{}", String::from_utf8_lossy(secret));
    }
    let square = kept.picture();
    assert!(
        close(*square.get_pixel(128, 8), [255, 0, 0]) && close(*square.get_pixel(128, 248), [0, 0, 255]),
        "it lies on its side"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_is_refused() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let (png, jpeg) = (encoded(flag(), ImageFormat::Png), encoded(flag(), ImageFormat::Jpeg));
    let webp = encoded(flag(), ImageFormat::WebP);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec();
    let gif = b"GIF89a\x01\0\x01\0\0\0\0;<script>alert(1)</script>".to_vec();
    let long = [png.clone(), vec![0; 256 * 1024]].concat();
    let half = |file: &[u8]| file[..file.len() / 2].to_vec();
    let cases = [
        ("image/svg+xml", svg.clone(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("image/png", svg, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("image/gif", gif.clone(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("image/jpeg", gif, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("image/jpeg", png.clone(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("application/octet-stream", png.clone(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("image/png", Vec::new(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("image/png", long, 413, "BODY_TOO_LARGE"),
        ("image/png", half(&png), 422, "IMAGE_UNREADABLE"),
        ("image/jpeg", half(&jpeg), 422, "IMAGE_UNREADABLE"),
        ("image/webp", half(&webp), 422, "IMAGE_UNREADABLE"),
        ("image/png", bomb(60_000, 60_000), 422, "IMAGE_TOO_LARGE"),
        ("image/png", bomb(4000, 4000), 422, "IMAGE_TOO_LARGE"),
    ];
    for (content_type, file, status, code) in cases {
        let answer = send(&world, Some(&siti.access), content_type, file).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{content_type}: {}", answer.json());
    }
    assert_eq!(shown(&world, &siti).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_needs_somebody_who_is_let_in() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let file = encoded(flag(), ImageFormat::Png);
    for (access, code) in [(None, "UNAUTHENTICATED"), (Some("no.token.at.all"), "TOKEN_INVALID")] {
        let answer = send(&world, access, "image/png", file.clone()).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, code));
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    let desk = admin(&world, "desk@example.com").await;
    suspend(&world, &desk, &siti).await;
    let answer = send(&world, Some(&siti.access), "image/png", file.clone()).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "ACCOUNT_SUSPENDED"));
    world.clock.advance(TimeDelta::minutes(10));
    let answer = send(&world, Some(&siti.access), "image/png", file).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "TOKEN_EXPIRED"));
    assert_eq!(world.user_rows("avatar").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_limited_for_each_account() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let file = encoded(RgbImage::new(8, 8), ImageFormat::Png);
    for _ in 0..10 {
        set(&world, &siti, "image/png", file.clone()).await;
    }
    let answer = send(&world, Some(&siti.access), "image/png", file.clone()).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    let wait = answer.json()["errors"][0]["extensions"]["retryAfterMs"].as_i64().expect("a number");
    assert!((1..=360_000).contains(&wait), "{wait}");
    assert!(!answer.header("retry-after").is_empty());
    set(&world, &budi, "image/png", file.clone()).await;
    world.clock.advance(TimeDelta::milliseconds(wait));
    set(&world, &siti, "image/png", file).await;
    assert_eq!(world.user_rows("avatar").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_picture_takes_the_place_of_the_old() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let file = encoded(flag(), ImageFormat::Png);
    let (old, theirs) =
        (set(&world, &siti, "image/png", file.clone()).await, set(&world, &budi, "image/png", file.clone()).await);
    let tag = get(&world, &old, None).await.header("etag").to_owned();
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let unchanged = get(&world, &old, Some(&known)).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
        assert_eq!(unchanged.header("etag"), tag);
    }
    assert_eq!(get(&world, &old, Some("\"other\"")).await.status, StatusCode::OK);
    let new = set(&world, &siti, "image/png", file).await;
    assert_ne!(new, old);
    assert_eq!(get(&world, &old, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&world, &old, Some(&tag)).await.status, StatusCode::NOT_FOUND, "what is gone was not modified");
    assert_eq!(world.user_rows("avatar").await, 2);
    for _ in 0..2 {
        let removed = world.data(Some(&siti.access), REMOVE, json!({})).await["r"].take();
        assert_eq!(removed["user"], json!({ "id": siti.id, "avatarUrl": null }));
    }
    assert_eq!(get(&world, &new, None).await.status, StatusCode::NOT_FOUND);
    let desk = admin(&world, "desk@example.com").await;
    let listed = world.data(Some(&desk.access), LIST, json!({ "search": "budi@" })).await;
    assert_eq!(listed["accounts"]["nodes"], json!([{ "id": budi.id, "avatarUrl": theirs }]));
    assert_eq!((get(&world, &theirs, None).await.status, shown(&world, &budi).await), (StatusCode::OK, json!(theirs)));
    for path in ["/avatars/x.png", "/avatars/x", "/avatars/..%2F..%2Fetc%2Fpasswd.png", "/avatars/"] {
        assert_eq!(get(&world, &format!("http://127.0.0.1:4000{path}"), None).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_pictures_leave_one() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let file = encoded(flag(), ImageFormat::Png);
    let racing = (0..6).map(|_| set(&world, &siti, "image/png", file.clone()));
    let urls = futures_util::future::join_all(racing).await;
    let last = shown(&world, &siti).await;
    let mut found = 0;
    for url in &urls {
        let is_there = get(&world, url, None).await.status == StatusCode::OK;
        assert_eq!(is_there, last == json!(url));
        found += usize::from(is_there);
    }
    assert_eq!((found, world.user_rows("avatar").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_exported_and_leaves_with_its_person() {
    let world = World::new().await;
    neighbours(&world);
    let siti = world.person("siti@example.com").await;
    let url = set(&world, &siti, "image/png", encoded(flag(), ImageFormat::Png)).await;
    let exported = export(&world, &siti).await;
    let document: Value = serde_json::from_str(exported["document"].as_str().expect("a document")).expect("JSON");
    let told = &document["services"]["user"]["avatar"];
    assert_eq!(told["url"], url);
    let image = STANDARD.decode(told["imageBase64"].as_str().expect("a text")).expect("bytes");
    assert_eq!(image, get(&world, &url, None).await.body);
    assert_eq!(delete(&world, &siti, crate::world::PASSWORD).await["deleted"], true);
    assert_eq!(get(&world, &url, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.user_rows("avatar").await, 0);
    let answer = send(&world, Some(&siti.access), "image/png", encoded(flag(), ImageFormat::Png)).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
}
