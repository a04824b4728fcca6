//! A file that comes in pieces, read on a thread of its own: a reader waits where its input is not there yet, and what it
//! makes of it takes time. At any moment there are a piece, a batch, and what the reader is at.

use std::io::{self, Read};

use tokio::sync::mpsc;

use crate::{
    app::transfer::imports::{BATCH, ImportLine},
    transfer::{Format, Lines, ReadError},
};

/// The next lines of a file, none at its end, and a digest of all lines up to and with these.
type Batch = (Vec<ImportLine>, Vec<u8>);

/// A file that is read.
#[derive(Debug)]
pub struct Feed {
    /// Where pieces go; none behind the last.
    pieces: Option<mpsc::Sender<Vec<u8>>>,
    batches: mpsc::Receiver<Result<Batch, ReadError>>,
}

/// What the reader reads from.
struct Pieces {
    input: mpsc::Receiver<Vec<u8>>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.input.blocking_recv() {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}

fn batch(lines: &mut Lines) -> Result<Batch, ReadError> {
    let mut batch = Vec::with_capacity(BATCH);
    while batch.len() < BATCH {
        let Some(line) = lines.next_line()? else { break };
        batch.push(lines.read(&line));
    }
    Ok((batch, lines.digest()))
}

/// Reads over lines that were read before.
fn skip(lines: &mut Lines, done: u64, digest: &[u8]) -> Result<(), ReadError> {
    for _ in 0..done {
        lines.next_line()?;
    }
    if done > 0 && lines.digest() != digest {
        return Err(io::Error::other("these are not the lines of before").into());
    }
    Ok(())
}

impl Feed {
    /// Begins to read behind so many lines, of which there is a digest.
    #[must_use]
    pub fn open(format: Format, done: u64, digest: Vec<u8>) -> Self {
        let (pieces, input) = mpsc::channel(1);
        let (sender, batches) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let input = Pieces { input, piece: io::Cursor::default() };
            let opened = Lines::open(Box::new(input), format).and_then(|mut lines| {
                skip(&mut lines, done, &digest)?;
                Ok(lines)
            });
            let mut lines = match opened {
                Ok(lines) => lines,
                Err(error) => return drop(sender.blocking_send(Err(error))),
            };
            loop {
                let batch = batch(&mut lines);
                let is_over = batch.as_ref().map_or(true, |(lines, _)| lines.is_empty());
                if sender.blocking_send(batch).is_err() || is_over {
                    return;
                }
            }
        });
        Self { pieces: Some(pieces), batches }
    }

    /// The next batch, for which `more` gives the pieces of the file in their order, and none at its end.
    ///
    /// # Errors
    /// What `more` says; inside, why the file cannot be read.
    pub async fn next<E>(
        &mut self,
        mut more: impl AsyncFnMut() -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Result<Batch, ReadError>, E> {
        loop {
            let pieces = self.pieces.clone();
            let wanted = async {
                match &pieces {
                    Some(pieces) => pieces.reserve().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                batch = self.batches.recv() => {
                    return Ok(batch.unwrap_or_else(|| Err(io::Error::other("the reader has gone").into())));
                }
                place = wanted => match (place, more().await?) {
                    (Ok(place), Some(piece)) => place.send(piece),
                    _ => self.pieces = None,
                },
            }
        }
    }
}
