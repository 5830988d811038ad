//! The work that a challenge asks for.

use std::num::NonZero;
use std::thread;

use aws_lc_rs::digest::{SHA256, digest};

/// Solution `i` of `count`: the first `n`, as 16 hex digits, for which
/// SHA-256(SHA-256("sg-pow-v1" || token) || u8 i || n) begins with `bits` zero bits.
///
/// Costs 2^`bits` hashes per puzzle on average, spread over the machine's cores.
pub(super) fn solve(token: &str, bits: u8, count: u8) -> Vec<String> {
    let seed = digest(&SHA256, format!("sg-pow-v1{token}").as_bytes());
    let seed = seed.as_ref();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut solutions = vec![String::new(); usize::from(count)];
    let numbered: Vec<_> = (0u8..).zip(&mut solutions).collect();
    let mut shares: Vec<Vec<_>> = (0..cores).map(|_| Vec::new()).collect();
    for (at, puzzle) in numbered.into_iter().enumerate() {
        shares[at % cores].push(puzzle);
    }
    thread::scope(|scope| {
        for share in shares {
            scope.spawn(move || {
                for (index, solution) in share {
                    *solution = search(seed, index, bits);
                }
            });
        }
    });
    solutions
}

fn search(seed: &[u8], index: u8, bits: u8) -> String {
    // 41 bytes: one compression a try.
    let mut message = [0; 41];
    message[..32].copy_from_slice(seed);
    message[32] = index;
    let mut number: u64 = 0;
    loop {
        message[33..].copy_from_slice(&number.to_be_bytes());
        if zero_bits(digest(&SHA256, &message).as_ref()) >= u32::from(bits) {
            return format!("{number:016x}");
        }
        number += 1;
    }
}

fn zero_bits(hash: &[u8]) -> u32 {
    let zeros = hash.iter().take_while(|byte| **byte == 0).count();
    zeros as u32 * 8 + hash.get(zeros).map_or(0, |byte| byte.leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_puzzle_is_solved_in_its_place() {
        let solutions = solve("token", 8, 16);
        let seed = digest(&SHA256, b"sg-pow-v1token");
        for (index, solution) in (0u8..).zip(&solutions) {
            let number = u64::from_str_radix(solution, 16).unwrap().to_be_bytes();
            let hash = digest(&SHA256, &[seed.as_ref(), &[index], &number].concat());
            assert_eq!(hash.as_ref()[0], 0, "{index}");
        }
        assert_eq!(solutions.len(), 16);
    }

    #[test]
    fn leading_zeros_are_counted_across_bytes() {
        assert_eq!(zero_bits(&[0, 0x10, 0]), 11);
        assert_eq!(zero_bits(&[0, 0]), 16);
    }
}
