//! Layers of images: from the registry into a file, and from there to a list of what they do.

use std::{
    fs::File,
    io::{self, Read, Seek as _, Write as _},
};

use attestry_core::{Digester, Gap, Need, Repository, evidence::BlobRole, layer::Layer, manifest::Descriptor};
use tokio::time::Instant;

use crate::{
    Client,
    budget::Budget,
    error::Fault,
    layer::{self, Bounds, LayerError},
    pull::check_blob,
};

/// Why it is not known what a layer does.
#[derive(Debug, thiserror::Error)]
pub enum LayerFault {
    /// It was not read to its end: another time it may be.
    #[error("{}", .0.detail)]
    Gap(Gap),
    /// It cannot be listed, now or later.
    #[error(transparent)]
    Unreadable(#[from] LayerError),
}

impl Client {
    /// Reads a layer and lists what it does. The digest of its packed bytes is checked; whether the unpacked ones have
    /// the diffID of the configuration is for the caller to compare.
    ///
    /// The budget's deadline holds for reading and listing both.
    ///
    /// # Errors
    ///
    /// A [`LayerFault::Gap`] as for [`Client::pull_layer`], or where the time ends while the layer is listed. All other
    /// causes are those of [`layer::read`]; a media type that is not read costs no request.
    pub async fn layer(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        budget: &Budget,
    ) -> Result<Layer, LayerFault> {
        layer::check_media_type(&descriptor.media_type)?;
        let file = self.pull_layer(repository, descriptor, budget).await.map_err(LayerFault::Gap)?;
        let (media_type, input) = (descriptor.media_type.clone(), Until { inner: file, deadline: budget.deadline() });
        let read = tokio::task::spawn_blocking(move || layer::read(&media_type, input, &Bounds::default()));
        match read.await.unwrap_or_else(|error| Err(LayerError::Io(io::Error::other(error)))) {
            Err(LayerError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                let fault = Fault::budget("the time was used up while a layer was unpacked");
                Err(LayerFault::Gap(fault.gap(need(descriptor))))
            }
            read => Ok(read?),
        }
    }

    /// Reads the packed bytes of a layer into a file without a name, which is gone when it is closed. Its position is
    /// the start, its length and digest are those of the descriptor.
    ///
    /// At most [`Limits::layer`] bytes are read. They are not held in memory and cost the budget no bytes. They are
    /// written as they come, in chunks of a few KiB, on the thread that reads them: a slow disk slows the reading.
    ///
    /// [`Limits::layer`]: crate::Limits::layer
    ///
    /// # Errors
    ///
    /// A gap as for [`Client::pull_blob`]; of cause [`OverLimit`] also where the file cannot be written.
    ///
    /// [`OverLimit`]: attestry_core::GapCause::OverLimit
    pub async fn pull_layer(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        budget: &Budget,
    ) -> Result<File, Gap> {
        let file = self.layer_file(repository, descriptor, budget).await;
        file.map_err(|fault| fault.gap(need(descriptor)))
    }

    async fn layer_file(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        budget: &Budget,
    ) -> Result<File, Fault> {
        let (digest, size) = (descriptor.digest, descriptor.size);
        let answer = self.get_blob(repository, digest, size, self.transport.limits.layer, budget).await?;
        let mut file = tempfile::tempfile().map_err(|error| unwritten(&error))?;
        let mut digester = Digester::default();
        let keep = |chunk: bytes::Bytes| {
            digester.update(&chunk);
            file.write_all(&chunk).map_err(|error| unwritten(&error))
        };
        // One byte more than announced is read, so that a longer body shows as a wrong size.
        let length = budget.within(answer.each_chunk(size + 1, keep)).await?;
        check_blob(digest, size, digester.finish(), length)?;
        file.rewind().map_err(|error| unwritten(&error))?;
        Ok(file)
    }
}

fn need(descriptor: &Descriptor) -> Need {
    Need::Blob { digest: descriptor.digest, size: descriptor.size, role: BlobRole::Layer }
}

fn unwritten(error: &io::Error) -> Fault {
    Fault::over_limit(format!("a layer cannot be written to a temporary file: {error}"))
}

/// A reader that fails from its deadline on: little that is packed can be much that is unpacked, and nobody waits for
/// it then.
struct Until<R> {
    inner: R,
    deadline: Instant,
}

impl<R: Read> Read for Until<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.inner.read(buffer)
    }
}
