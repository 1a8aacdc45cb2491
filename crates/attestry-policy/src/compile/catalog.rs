//! Catalogs from their documents.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Compiler, Place, read::ByName};
use crate::{
    base::{Base, Build, Catalog, PlatformImage, is_empty_layer},
    document::{BaseCatalogSpec, BaseSpec, BuildSpec, PlatformSpec},
    error::suggest,
    source::At,
};

/// Platform images in one catalog.
const MAX_IMAGES: usize = 20_000;
/// Layers of one image. Overlay file systems end at 128.
const MAX_LAYERS: usize = 256;

impl Compiler {
    /// Compiles every catalog.
    pub(super) fn catalogs(&mut self, documents: &ByName<'_, BaseCatalogSpec>) -> BTreeMap<String, Arc<Catalog>> {
        let mut catalogs = BTreeMap::new();
        for (name, loaded) in documents {
            let (at, spec) = (loaded.at(), &loaded.document.spec);
            let images: usize =
                spec.bases.iter().flat_map(|base| &base.builds).map(|build| build.platforms.len()).sum();
            if images > MAX_IMAGES {
                self.push(at.problem(format!("the catalog holds more than {MAX_IMAGES} images")));
                self.broken.insert(("BaseCatalog", name.clone()));
                continue;
            }
            let mut names = BTreeSet::new();
            let mut bases = Vec::with_capacity(spec.bases.len());
            for (index, base) in spec.bases.iter().enumerate() {
                let at = at.field("bases").index(index);
                if !names.insert(base.name.as_str()) {
                    self.push(
                        at.field("name").problem(format!("there is a second base {:?} in this catalog", base.name)),
                    );
                }
                bases.extend(self.base(base, &at));
            }
            self.replacements(spec, &names, &at.field("bases"));
            catalogs.insert(name.clone(), Arc::new(Catalog { name: name.clone(), bases, place: Place::of(&at) }));
        }
        catalogs
    }

    fn replacements(&mut self, spec: &BaseCatalogSpec, names: &BTreeSet<&str>, at: &At<'_>) {
        for (index, base) in spec.bases.iter().enumerate() {
            if let Some(to) = &base.replaced_by
                && !names.contains(to.as_str())
            {
                let mut problem =
                    at.index(index).field("replacedBy").problem(format!("there is no base {to:?} in this catalog"));
                problem.hint = suggest(to, names.iter().copied());
                self.push(problem);
            }
        }
    }

    fn base(&mut self, spec: &BaseSpec, at: &At<'_>) -> Option<Base> {
        for (field, text) in [("name", &spec.name), ("owner", &spec.owner.team)] {
            if text.trim().is_empty() {
                self.push(at.field(field).problem(format!("the {field} is empty")));
            }
        }
        let supported_until = crate::duration::parse_end_of_day(&spec.supported_until).ok_or_else(|| {
            let message = format!("{:?} is no day", spec.supported_until);
            at.field("supportedUntil").problem(message).hint("write YYYY-MM-DD, the last day of support")
        });
        let supported_until = self.take(supported_until);
        let builds = (spec.builds.iter().enumerate())
            .filter_map(|(index, build)| self.build(build, &at.field("builds").index(index)))
            .collect();
        Some(Base {
            name: spec.name.clone(),
            owner: spec.owner.team.clone(),
            contact: spec.owner.contact.clone(),
            supported_until: supported_until?,
            status: spec.status,
            replaced_by: spec.replaced_by.clone(),
            builds,
        })
    }

    fn build(&mut self, spec: &BuildSpec, at: &At<'_>) -> Option<Build> {
        let added_at = self.time(&spec.added_at, &at.field("addedAt"));
        let index = match &spec.index {
            Some(text) => Some(self.digest(text, &at.field("index"))?),
            None => None,
        };
        if spec.platforms.is_empty() {
            self.push(
                at.field("platforms").problem("the build has no platform").hint("attestry base add writes builds"),
            );
        }
        let platforms = (spec.platforms.iter().enumerate())
            .filter_map(|(number, image)| self.platform_image(image, &at.field("platforms").index(number)))
            .collect();
        Some(Build { added_at: added_at?, status: spec.status, index, platforms })
    }

    fn platform_image(&mut self, spec: &PlatformSpec, at: &At<'_>) -> Option<PlatformImage> {
        if spec.platform.split('/').count() < 2 || spec.platform.split('/').any(str::is_empty) {
            let message = format!("{:?} is no platform", spec.platform);
            self.push(at.field("platform").problem(message).hint("write os/architecture, such as linux/amd64"));
        }
        let digest = self.digest(&spec.digest, &at.field("digest"))?;
        if spec.layers.len() != spec.diff_ids.len() {
            let message = format!("{} layers, but {} diffIDs", spec.layers.len(), spec.diff_ids.len());
            self.push(at.problem(message).hint("each layer has one diffID; attestry base add writes both"));
            return None;
        }
        if spec.layers.len() > MAX_LAYERS {
            self.push(at.field("layers").problem(format!("more than {MAX_LAYERS} layers")));
            return None;
        }
        let layers = self.digests_of(&spec.layers, &at.field("layers"))?;
        let diff_ids = self.digests_of(&spec.diff_ids, &at.field("diffIDs"))?;
        // An image of empty layers alone would be the base of every image that begins with one (attack 71).
        if diff_ids.iter().all(is_empty_layer) {
            let message = "no layer holds anything, so nothing could be recognised by it";
            self.push(at.field("diffIDs").problem(message).hint("admit such images by digests"));
            return None;
        }
        Some(PlatformImage { platform: spec.platform.clone(), digest, layers, diff_ids })
    }

    fn digests_of(&mut self, texts: &[String], at: &At<'_>) -> Option<Vec<attestry_core::Digest>> {
        texts.iter().enumerate().map(|(index, text)| self.digest(text, &at.index(index))).collect()
    }
}
