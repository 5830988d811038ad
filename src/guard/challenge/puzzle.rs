//! The work: many small hash puzzles, so that one try in a hundred is not ten times as long.
//!
//! A speed bump and a sensor, not a lock: a native core answers a challenge of ten browser seconds
//! in two. What it yields is that somebody tends the account, and who clears many accounts.

use aws_lc_rs::digest;

/// Solves the `count` puzzles of a token: solution `i` is 16 hex digits `n` for which
/// SHA-256(SHA-256("sg-pow-v1" || token) || u8 i || n) begins with `bits` zero bits.
///
/// Costs 2^`bits` hashes per puzzle on average, on the calling thread.
pub fn solve_puzzles(token: &str, bits: u8, count: u8) -> Vec<String> {
    let seed = seed(token);
    let solve = |index| (0u64..).find(|n| solves(&seed, index, &n.to_be_bytes(), bits));
    (0..count).filter_map(solve).map(|n| format!("{n:016x}")).collect()
}

/// Whether `solutions` answer every puzzle of a token, in order. One hash each.
pub(super) fn verify(token: &str, bits: u8, count: u8, solutions: &[&str]) -> bool {
    let seed = seed(token);
    solutions.len() == usize::from(count)
        && (0..count).zip(solutions).all(|(index, solution)| {
            parse(solution).is_some_and(|n| solves(&seed, index, &n.to_be_bytes(), bits))
        })
}

fn seed(token: &str) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"sg-pow-v1");
    context.update(token.as_bytes());
    context.finish().as_ref().try_into().unwrap_or_default()
}

fn solves(seed: &[u8; 32], index: u8, n: &[u8; 8], bits: u8) -> bool {
    // 41 bytes: one compression.
    let mut message = [0; 41];
    message[..32].copy_from_slice(seed);
    message[32] = index;
    message[33..].copy_from_slice(n);
    let hash = digest::digest(&digest::SHA256, &message);
    let (whole, rest) = (usize::from(bits / 8), bits % 8);
    let hash = hash.as_ref();
    hash[..whole].iter().all(|byte| *byte == 0)
        && (rest == 0 || hash[whole].leading_zeros() >= u32::from(rest))
}

fn parse(solution: &str) -> Option<u64> {
    let hex = solution.len() == 16 && solution.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { u64::from_str_radix(solution, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solution_fits_its_token_its_place_and_its_difficulty_only() {
        let solved = solve_puzzles("token", 8, 4);
        let mut solved: Vec<_> = solved.iter().map(String::as_str).collect();
        assert!(verify("token", 8, 4, &solved));
        assert!(!verify("other", 8, 4, &solved));
        assert!(!verify("token", 16, 4, &solved));
        assert!(!verify("token", 8, 3, &solved));
        assert!(!verify("token", 8, 4, &solved[..3]));
        solved.rotate_left(1);
        assert!(!verify("token", 8, 4, &solved));
    }

    /// What `worker.js`, which counts from zero as well, finds for this token.
    #[test]
    fn the_page_and_the_command_line_solve_the_same_puzzle() {
        let token = "A".repeat(super::super::token::LENGTH);
        assert_eq!(solve_puzzles(&token, 14, 1), ["000000000000d367"]);
    }

    #[test]
    fn only_sixteen_hex_digits_are_a_solution() {
        for spelling in ["", "1", "+000000000000001", "0x00000000000001", "000000000000000g"] {
            assert_eq!(parse(spelling), None, "{spelling}");
        }
        assert_eq!(parse("00000000000000fF"), Some(255));
    }

    #[test]
    fn the_difficulty_counts_bits_not_bytes() {
        let n = 5u64.to_be_bytes();
        let hash = |bits| solves(&seed("x"), 0, &n, bits);
        let zeros = (0..=64).take_while(|bits| hash(*bits)).count() - 1;
        assert!((0..=64).all(|bits| hash(bits) == (usize::from(bits) <= zeros)));
    }
}
