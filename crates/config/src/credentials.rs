//! `credential_list`: named sets of parameters that deployments share.

use crate::known_keys::CREDENTIAL;
use crate::reader::{Field, Reader};
use std::collections::HashMap;

/// A named set of parameters from `credential_list`.
pub(crate) struct Credential<'n> {
    pub(crate) values: Field<'n>,
    pub(crate) used: bool,
}

/// Reads `credential_list`; the values wait for the deployment that names them.
pub(crate) fn read<'n>(
    reader: &mut Reader<'_>,
    section: &Field<'n>,
) -> HashMap<String, Credential<'n>> {
    let mut credentials = HashMap::new();
    for item in reader.items(section) {
        let (mut name, mut values) = (None, None);
        for field in reader.fields(&item) {
            match field.name {
                "credential_name" => name = reader.text(&field).map(|text| (field, text)),
                "credential_values" => values = Some(field),
                "credential_info" => reader.accept(&field),
                _ => reader.leftover(&field, &CREDENTIAL),
            }
        }
        if let (Some((at, name)), Some(values)) = (name, values) {
            let credential = Credential { values, used: false };
            if credentials.insert(name, credential).is_some() {
                reader.error(&at, "this credential name is given twice", "");
            }
        } else {
            let message =
                "a credential needs credential_name and credential_values: it cannot be used";
            reader.warning(&item, message, "");
        }
    }
    credentials
}

/// Warns of credentials that no deployment names.
pub(crate) fn check_unused(reader: &mut Reader<'_>, credentials: &HashMap<String, Credential<'_>>) {
    for credential in credentials.values().filter(|credential| !credential.used) {
        reader.warning(&credential.values, "no deployment uses this credential", "");
    }
}
