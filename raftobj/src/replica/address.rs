//! Addresses that users write.

use crate::codec::membership::ADDRESS_BYTES_MAX;
use std::net::Ipv6Addr;

/// An address is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is not an address: {reason}; write host:port, for example 127.0.0.1:4321 or [::1]:4321")]
pub struct AddressError {
    /// The address as the user wrote it.
    pub address: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// Checks `host:port` and normalises its spelling: lower case, IPv6 in its shortest form in brackets. All nodes must spell
/// a node's address alike: `localhost:1` and `127.0.0.1:1` are two addresses.
pub(crate) fn normalise(address: &str) -> Result<String, AddressError> {
    let invalid = |reason| AddressError { address: address.to_owned(), reason };
    let (host, port) = address.rsplit_once(':').ok_or(invalid("it has no port"))?;
    let port: u16 = port.parse().map_err(|_| invalid("its port is not a number from 1 to 65535"))?;
    if port == 0 {
        return Err(invalid("its port is 0"));
    }
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(invalid("it is too long"));
    }
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(invalid("its bracket is not closed"))?;
        let ip: Ipv6Addr =
            inner.parse().map_err(|_| invalid("what is in its brackets is not an IPv6 address"))?;
        return Ok(format!("[{ip}]:{port}"));
    }
    if host.contains(':') {
        return Err(invalid("an IPv6 address needs brackets"));
    }
    if host.is_empty() {
        return Err(invalid("it has no host"));
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err(invalid("its host has a character that host names do not have"));
    }
    Ok(format!("{}:{port}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_an_address_are_normalised() {
        for (given, normal) in [
            ("127.0.0.1:4321", "127.0.0.1:4321"),
            ("LocalHost:1", "localhost:1"),
            ("[0:0:0:0:0:0:0:1]:80", "[::1]:80"),
            ("my_host-1.example:65535", "my_host-1.example:65535"),
        ] {
            assert_eq!(normalise(given).as_deref(), Ok(normal));
        }
    }

    #[test]
    fn an_error_names_the_reason() {
        for (given, reason) in [
            ("localhost", "no port"),
            ("localhost:", "not a number"),
            ("localhost:70000", "not a number"),
            ("localhost:0", "is 0"),
            (":80", "no host"),
            ("::1:80", "needs brackets"),
            ("[::1:80", "not closed"),
            ("[zz]:80", "not an IPv6"),
            ("a b:80", "character"),
        ] {
            let error = normalise(given).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
