//! From the bytes of a layer to those of its archive: compression, digest and bounds.

use std::{
    cell::RefCell,
    io::{self, BufRead, BufReader, Cursor, ErrorKind, Read},
};

use attestry_core::{Digest, Digester};
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use super::{Bounds, LayerError};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
    /// Nothing that a layer may have; some programs unpack it all the same.
    Other,
}

impl Compression {
    pub(super) fn of(media_type: &str) -> Result<Self, LayerError> {
        match media_type {
            "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => Ok(Self::None),
            "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
                Ok(Self::Gzip)
            }
            "application/vnd.oci.image.layer.v1.tar+zstd" => Ok(Self::Zstd),
            _ => Err(LayerError::unsupported(format!("its media type is {media_type:?}"))),
        }
    }

    /// What containerd and Docker take a layer with these first bytes for.
    fn sniffed(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            // A frame, or one to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // bzip2 and xz.
            [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Other,
            _ => Self::None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::None => "an uncompressed archive",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Other => "bzip2 or xz",
        }
    }
}

/// The packed bytes. It remembers when they could not be read: decoders wrap such errors in ways of their own.
pub(super) struct Input<'a, R> {
    inner: R,
    failed: &'a RefCell<Option<io::Error>>,
}

impl<'a, R: Read> Input<'a, R> {
    pub(super) fn new(inner: R, failed: &'a RefCell<Option<io::Error>>) -> Self {
        Self { inner, failed }
    }
}

impl<R: Read> Read for Input<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    *self.failed.borrow_mut() = Some(error);
                    return Err(kind.into());
                }
                read => return read,
            }
        }
    }
}

/// The bytes of the archive. What was read of them is hashed and counted.
pub(super) struct Unpacked<'a> {
    inner: Box<dyn Read + 'a>,
    failed: &'a RefCell<Option<io::Error>>,
    compression: Compression,
    digester: Digester,
    left: u64,
    bound: u64,
}

impl<'a> Unpacked<'a> {
    pub(super) fn new<R: Read + 'a>(
        compression: Compression,
        mut input: Input<'a, R>,
        bounds: &Bounds,
    ) -> Result<Self, LayerError> {
        let failed = input.failed;
        let mut head = Vec::new();
        let first = input.by_ref().take(6).read_to_end(&mut head);
        let sniffed = Compression::sniffed(&head);
        let input = BufReader::new(Cursor::new(head).chain(input));
        let inner: Box<dyn Read + 'a> = match compression {
            Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
            Compression::Zstd => Box::new(Frames::new(input, bounds.window)),
            Compression::None | Compression::Other => Box::new(input),
        };
        let (digester, bound) = (Digester::default(), bounds.unpacked);
        let unpacked = Self { inner, failed, compression, digester, left: bound, bound };
        first.map_err(|error| unpacked.error(error))?;
        if sniffed != compression {
            let (said, is) = (compression.name(), sniffed.name());
            return Err(LayerError::malformed(format!("its media type says {said} and its first bytes say {is}")));
        }
        Ok(unpacked)
    }

    /// Reads up to the end of `buffer` or of the archive, and returns how many bytes that were.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, LayerError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = match self.inner.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => return Err(self.error(error)),
            };
            let Some(left) = self.left.checked_sub(read as u64) else {
                return Err(LayerError::over_limit(self.bound, "bytes unpacked"));
            };
            self.left = left;
            self.digester.update(&buffer[filled..filled + read]);
            filled += read;
        }
        Ok(filled)
    }

    /// Reads over `count` bytes, or fewer where the archive ends; returns how many.
    pub(super) fn skip(&mut self, count: u64) -> Result<u64, LayerError> {
        let mut buffer = [0; 8 << 10];
        let mut skipped = 0;
        while skipped < count {
            let piece = (count - skipped).min(buffer.len() as u64) as usize;
            let read = self.fill(&mut buffer[..piece])? as u64;
            skipped += read;
            if read < piece as u64 {
                break;
            }
        }
        Ok(skipped)
    }

    /// Reads what is left. The digest is that of everything.
    pub(super) fn finish(mut self) -> Result<Digest, LayerError> {
        self.skip(u64::MAX)?;
        Ok(self.digester.finish())
    }

    fn error(&self, error: io::Error) -> LayerError {
        if let Some(error) = self.failed.borrow_mut().take() {
            return LayerError::Io(error);
        }
        match error.downcast::<LayerError>() {
            Ok(error) => error,
            Err(error) => LayerError::malformed(format!("as {} it ends in: {error}", self.compression.name())),
        }
    }
}

/// One zstd frame after the other, as zstd:chunked and eStargz have them, those to be skipped among them.
struct Frames<R> {
    input: R,
    decoder: FrameDecoder,
}

impl<R: BufRead> Frames<R> {
    fn new(input: R, window: u64) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(window);
        Self { input, decoder }
    }

    /// Goes on to the next frame, or over one to be skipped. `false` at the end of all.
    fn next_frame(&mut self) -> io::Result<bool> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(false);
        }
        match self.decoder.reset(&mut self.input) {
            Ok(()) => Ok(true),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let length = u64::from(length);
                match io::copy(&mut self.input.by_ref().take(length), &mut io::sink())? == length {
                    true => Ok(true),
                    false => Err(io::Error::new(ErrorKind::UnexpectedEof, "a frame to be skipped is cut short")),
                }
            }
            Err(FrameDecoderError::WindowSizeTooBig { max, .. }) => {
                Err(io::Error::other(LayerError::over_limit(max, "bytes in the window of a zstd frame")))
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // One block at a time, which is at most 128 KiB.
        while self.decoder.can_collect() == 0 {
            if !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.input, one).map_err(io::Error::other)?;
            } else if !self.next_frame()? {
                return Ok(0);
            }
        }
        self.decoder.read(buffer)
    }
}
