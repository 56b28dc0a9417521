//! Bills of materials: CycloneDX and SPDX, as JSON. What they say is there is
//! taken at its word; what has no package URL cannot be looked up.

use super::json::Json;
use super::{Malformed, Reading, format_version, purl};
use crate::finding::{Gap, Why};
use crate::inventory::{Hash, Package, Place, Standing};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Components inside each other.
const DEPTH_MAX: usize = 40;

#[derive(Deserialize)]
struct Component {
    purl: Option<String>,
    version: Option<String>,
    #[serde(default)]
    hashes: Vec<Digest>,
}

#[derive(Deserialize)]
struct Digest {
    alg: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    version_info: Option<String>,
    #[serde(default)]
    external_refs: Vec<Reference>,
    #[serde(default)]
    checksums: Vec<Checksum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    reference_type: String,
    #[serde(default)]
    reference_locator: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: String,
    checksum_value: String,
}

/// What was taken from a bill, and what could not be.
#[derive(Default)]
struct Taken {
    reading: Reading,
    foreign: usize,
    unnamed: usize,
}

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let json = Json::new(text);
    let members = json.members()?;
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let mut taken = Taken::default();
    if member("spdxVersion").is_some() {
        for item in items(&json, member("packages"))? {
            let described: Described = json.read(item)?;
            let mut hashes = described.checksums.iter();
            let hashes = hashes
                .by_ref()
                .filter_map(|sum| Hash::read(&format!("{}:{}", sum.algorithm, sum.checksum_value)));
            let hashes: Vec<Hash> = hashes.collect();
            let address = described
                .external_refs
                .iter()
                .find(|reference| reference.reference_type == "purl")
                .map(|reference| reference.reference_locator.as_str());
            let place = place.at(json.line(item));
            taken.component(address, described.version_info.as_deref(), hashes, place);
        }
    } else if member("bomFormat").is_some_and(|value| value.get() == "\"CycloneDX\"") {
        components(&json, member("components"), place, &mut taken, 0)?;
    } else {
        return Err(Malformed::whole("it is neither CycloneDX nor SPDX"));
    }
    let version = ["specVersion", "spdxVersion"].iter().find_map(|name| member(name));
    let version = version.map(|version| version.get().trim_matches('"'));
    let version = version.map(|version| version.strip_prefix("SPDX-").unwrap_or(version));
    format_version(version, &["1", "2"], place, &mut taken.reading);
    Ok(taken.told(place))
}

fn items<'t>(json: &Json<'t>, list: Option<&'t RawValue>) -> Result<Vec<&'t RawValue>, Malformed> {
    let Some(list) = list else { return Ok(Vec::new()) };
    serde_json::from_str(list.get()).map_err(|_| Malformed {
        line: json.line(list),
        what: "a value has another shape than this format gives it".into(),
    })
}

fn components<'t>(
    json: &Json<'t>,
    list: Option<&'t RawValue>,
    place: &Place,
    taken: &mut Taken,
    depth: usize,
) -> Result<(), Malformed> {
    if depth > DEPTH_MAX {
        return Err(Malformed::whole("components inside components without end"));
    }
    for item in items(json, list)? {
        let component: Component = json.read(item)?;
        let hashes = component.hashes.iter().filter_map(|digest| {
            // `SHA-256` here, `sha256` everywhere else.
            Hash::read(&format!("{}:{}", digest.alg.replace('-', ""), digest.content))
        });
        let hashes: Vec<Hash> = hashes.collect();
        let at = place.at(json.line(item));
        taken.component(component.purl.as_deref(), component.version.as_deref(), hashes, at);
        let inside = json.inside(item)?;
        let inner = inside.iter().find(|(key, _)| key == "components").map(|(_, value)| *value);
        components(json, inner, place, taken, depth + 1)?;
    }
    Ok(())
}

impl Taken {
    fn component(
        &mut self,
        address: Option<&str>,
        version: Option<&str>,
        hashes: Vec<Hash>,
        place: Place,
    ) {
        let Some(purl) = address.and_then(purl::read) else {
            self.unnamed += 1;
            return;
        };
        let Some(ecosystem) = purl.ecosystem else {
            self.foreign += 1;
            return;
        };
        let mut package = Package::new(ecosystem, &purl.name, Standing::Held, place);
        package.hashes = hashes;
        self.reading.packages.push(match purl.version.as_deref().or(version) {
            Some(version) if !version.is_empty() => package.at_version(version),
            _ => package,
        });
    }

    fn told(mut self, place: &Place) -> Reading {
        for (count, why) in [
            (self.foreign, "are of kinds that no advisory here speaks of"),
            (self.unnamed, "have no package URL that can be read, so nothing can be looked up"),
        ] {
            if count > 0 {
                self.reading.gaps.push(Gap {
                    why: Why::UnknownSource,
                    subject: format!("{count} components"),
                    place: Some(place.clone()),
                    text: format!("they {why}"),
                    do_first: "Audit them with a scanner that knows their kind.".into(),
                });
            }
        }
        self.reading
    }
}
