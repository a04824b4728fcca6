//! In which characters a file is written. A byte order mark says so, and so do the zero bytes of UTF-16; without them it is
//! UTF-8, unless whoever brings it says otherwise.

use std::io::{self, Cursor, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The most that is looked at of the first line.
const PEEKED: usize = 64 << 10;

/// What an input begins with, up to the end of the first line, and all of it.
pub(super) fn peek(mut input: Box<dyn Read>) -> io::Result<(Vec<u8>, Box<dyn Read>)> {
    let (mut head, mut buffer) = (Vec::new(), [0; 4 << 10]);
    while head.len() < PEEKED && !head.contains(&b'\n') {
        match input.read(&mut buffer)? {
            0 => break,
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    Ok((head, input))
}

/// The bytes of a file as UTF-8 without a byte order mark, and whether they are something else in the file. What is no
/// character there becomes a byte that is none in UTF-8 either, so that its line is rejected.
pub(super) fn utf8(
    input: Box<dyn Read>,
    said: Option<&'static Encoding>,
) -> io::Result<(Box<dyn Read>, Option<&'static Encoding>)> {
    let (head, rest) = peek(input)?;
    let (encoding, mark) = match Encoding::for_bom(&head) {
        Some(marked) => marked,
        None => (said.or_else(|| by_zeros(&head)).unwrap_or(UTF_8), 0),
    };
    let input = Cursor::new(head.get(mark..).unwrap_or_default().to_vec()).chain(rest);
    if encoding == UTF_8 {
        return Ok((Box::new(input), None));
    }
    let decoder = encoding.new_decoder_without_bom_handling();
    Ok((Box::new(Decoded { input, decoder, text: Cursor::default(), is_over: false }), Some(encoding)))
}

/// The names of columns and the first characters of JSON are ASCII.
fn by_zeros(head: &[u8]) -> Option<&'static Encoding> {
    match head {
        [0, 1..=255, 0, 1..=255, ..] => Some(UTF_16BE),
        [1..=255, 0, 1..=255, 0, ..] => Some(UTF_16LE),
        _ => None,
    }
}

struct Decoded<R> {
    input: R,
    decoder: Decoder,
    text: Cursor<Vec<u8>>,
    is_over: bool,
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.text.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.is_over {
                return Ok(read);
            }
            let mut bytes = [0; 4 << 10];
            let read = self.input.read(&mut bytes)?;
            self.is_over = read == 0;
            self.text = Cursor::new(self.decode(&bytes[..read]));
            if self.is_over {
                return self.text.read(buffer);
            }
        }
    }
}

impl<R> Decoded<R> {
    fn decode(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let (mut text, mut part) = (Vec::new(), [0; 16 << 10]);
        loop {
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(bytes, &mut part, self.is_over);
            text.extend_from_slice(&part[..written]);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return text,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => text.push(0xff),
            }
        }
    }
}
