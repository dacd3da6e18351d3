//! Random bytes of the host's kernel.

/// So many random bytes, good for secrets (getrandom(2)).
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // It fails only before the pool of a booting host is ready; it then waits.
    while rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) != Ok(N) {}
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn random_bytes_differ() {
        assert_ne!(super::random::<16>(), super::random::<16>());
    }
}
