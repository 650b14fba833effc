//! Addresses as users write them.

use crate::codec::membership::ADDRESS_BYTES_MAX;
use std::net::Ipv6Addr;

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is not an address: {reason}; write host:port, for example 127.0.0.1:4321 or [::1]:4321")]
pub struct AddressError {
    /// As it was given.
    pub address: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// Checks `host:port` and brings it into one spelling: lower case, IPv6 in its shortest form in brackets. All
/// nodes have to name a node alike, so `localhost:1` and `127.0.0.1:1` are two addresses.
pub(crate) fn normalise(address: &str) -> Result<String, AddressError> {
    let wrong = |reason| AddressError { address: address.to_owned(), reason };
    let (host, port) = address.rsplit_once(':').ok_or(wrong("it has no port"))?;
    let port: u16 = port.parse().map_err(|_| wrong("its port is not a number from 1 to 65535"))?;
    if port == 0 {
        return Err(wrong("its port is 0"));
    }
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(wrong("it is too long"));
    }
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(wrong("its bracket is not closed"))?;
        let ip: Ipv6Addr =
            inner.parse().map_err(|_| wrong("what is in its brackets is not an IPv6 address"))?;
        return Ok(format!("[{ip}]:{port}"));
    }
    if host.contains(':') {
        return Err(wrong("an IPv6 address needs brackets"));
    }
    if host.is_empty() {
        return Err(wrong("it has no host"));
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err(wrong("its host has a character that host names do not have"));
    }
    Ok(format!("{}:{port}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_into_one_spelling() {
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
    fn what_is_wrong_is_said() {
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
