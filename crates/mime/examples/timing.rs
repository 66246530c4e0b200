//! Prints what parsing, storing and digesting cost, for a 4 KiB plain message and for the files
//! named as arguments: `cargo run --release -p tern-mime --example timing -- FILE...`
#![allow(clippy::disallowed_methods)] // A measurement reads the clock.

use std::hint::black_box;
use std::time::Instant;

fn time(name: &str, mut work: impl FnMut()) {
    let rounds = 20_000;
    for _ in 0..rounds / 10 {
        work();
    }
    let start = Instant::now();
    for _ in 0..rounds {
        work();
    }
    println!(
        "  {name:<16}{:>8.2} us",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
    );
}

fn plain() -> Vec<u8> {
    let mut message = String::from(
        "Return-Path: <ann@example.org>\r\nReceived: from mx.example.org (mx.example.org [192.0.2.1])\r\n\
         \tby mail.example.com with ESMTPS id 4XyZ; Sat, 21 Nov 2026 22:06:00 +0000\r\n\
         From: Ann Example <ann@example.org>\r\nTo: Bob <bob@example.com>, Carol <carol@example.com>\r\n\
         Cc: dave@example.com\r\nSubject: Re: [team] The =?utf-8?Q?caf=C3=A9?= on Friday\r\n\
         Date: Sat, 21 Nov 2026 22:05:58 +0000\r\nMessage-ID: <20261121220558.1234@example.org>\r\n\
         In-Reply-To: <20261121210000.99@example.com>\r\n\
         References: <20261120100000.1@example.com>\r\n <20261121210000.99@example.com>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n",
    );
    while message.len() < 4096 {
        message.push_str(
            "The quick brown fox jumps over the lazy dog, and then does it once more.\r\n",
        );
    }
    message.into_bytes()
}

fn main() {
    let mut messages = vec![("plain 4 KiB".to_owned(), plain())];
    for path in std::env::args().skip(1) {
        match std::fs::read(&path) {
            Ok(bytes) => messages.push((path, bytes)),
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
    let key = [7; 32];
    for (name, bytes) in messages {
        let parsed = tern_mime::parse(&bytes);
        let row = tern_mime::encode(&parsed);
        println!("{name}: {} bytes, row {} bytes", bytes.len(), row.len());
        time("parse", || {
            drop(black_box(tern_mime::parse(black_box(&bytes))))
        });
        time("encode", || {
            drop(black_box(tern_mime::encode(black_box(&parsed))))
        });
        time("decode", || {
            drop(black_box(tern_mime::decode(black_box(&row))))
        });
        time("content_digest", || {
            black_box(tern_mime::content_digest(&key, black_box(&bytes)));
        });
        time("blob_id", || {
            black_box(tern_mime::blob_id(&key, black_box(&bytes)));
        });
    }
}
