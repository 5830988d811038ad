//! The time zone that a prompt says it is written in: agents and assistants put it where they tell the
//! model of the time.

use memchr::memmem;

use crate::signal::exchange::Zone;
use crate::signal::sketch::words::head;

/// Bytes of the system prompt that are looked through: about 5 microseconds.
const READ: usize = 16 << 10;

/// What stands before a zone that is one's own. A zone without it may be any that is talked about.
const MARKS: [&str; 8] =
    ["timezone", "time zone", "time_zone", "Timezone", "Time zone", "Time Zone", "TZ=", "时区"];

/// Bytes after a mark within which its zone stands.
const NEAR: usize = 48;

/// The zone a system prompt names, if it names one alone.
pub(super) fn of(system: &str) -> Option<Zone> {
    let text = head(system, READ);
    let marked = MARKS
        .iter()
        .flat_map(|mark| memmem::find_iter(text.as_bytes(), mark).map(move |at| at + mark.len()));
    let mut zones = marked.filter_map(|at| after(text.get(at..)?));
    let first = zones.next()?;
    zones.all(|zone| zone == first).then_some(first)
}

/// The zone right after a mark, on its line: `: Asia/Tokyo`, `is "UTC+9"`, `=Europe/Paris`.
fn after(text: &str) -> Option<Zone> {
    let line = head(text, NEAR).lines().next()?;
    let words = line.split(|c: char| c.is_whitespace() || ",;\"'`()=<>：".contains(c));
    words.take(6).find_map(|word| named(word).or_else(|| shifted(word)))
}

/// By its name in the database of time zones (`Area/City`).
fn named(word: &str) -> Option<Zone> {
    let (_, city) = word.trim_matches([':', '.']).split_once('/')?;
    // Argentina and Indiana have a level more.
    let city = city.rsplit('/').next()?;
    let known = CITIES.iter().find(|(_, cities)| cities.split(' ').any(|one| one == city));
    known.map(|(half_hours, _)| Zone(*half_hours))
}

/// By its offset: `UTC+8`, `GMT+05:30`, `UTC-0300`. UTC itself is what servers say, wherever they are.
fn shifted(word: &str) -> Option<Zone> {
    let rest = word.trim_start_matches(':');
    let rest = rest.strip_prefix("UTC").or_else(|| rest.strip_prefix("GMT"))?;
    let west = match rest.chars().next()? {
        '+' => 1,
        '-' | '−' => -1,
        _ => return None,
    };
    let digits: String = rest.chars().skip(1).filter(char::is_ascii_digit).take(4).collect();
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.as_str(), "0"),
        3 => digits.split_at(1),
        _ => digits.split_at_checked(2)?,
    };
    let half = i8::from(minutes.parse::<u8>().ok()? >= 30);
    let hours = hours.parse::<i8>().ok().filter(|hours| (0..=14).contains(hours))?;
    (hours > 0).then_some(Zone(west * (2 * hours + half)))
}

/// Cities of the zones that most people live in, by their standard time in half hours east of UTC.
const CITIES: [(i8, &str); 26] = [
    (-20, "Honolulu"),
    (-18, "Anchorage"),
    (-16, "Los_Angeles Vancouver Tijuana"),
    (-14, "Denver Phoenix Edmonton"),
    (-12, "Chicago Winnipeg Mexico_City Costa_Rica Guatemala"),
    (-10, "New_York Toronto Detroit Indianapolis Bogota Lima Panama"),
    (-8, "Halifax Caracas La_Paz Santiago"),
    (-6, "Sao_Paulo Buenos_Aires Montevideo"),
    (0, "London Dublin Lisbon Casablanca Abidjan Accra"),
    (2, "Paris Berlin Madrid Rome Amsterdam Brussels Vienna Zurich Stockholm Oslo Copenhagen"),
    (2, "Warsaw Prague Budapest Belgrade Lagos Algiers Tunis"),
    (4, "Athens Helsinki Kiev Kyiv Bucharest Sofia Riga Vilnius Tallinn Cairo Johannesburg"),
    (4, "Jerusalem Beirut"),
    (6, "Moscow Istanbul Minsk Riyadh Baghdad Kuwait Qatar Nairobi"),
    (7, "Tehran"),
    (8, "Dubai Baku Tbilisi Yerevan"),
    (10, "Karachi Tashkent Almaty Yekaterinburg"),
    (11, "Kolkata Calcutta Colombo"),
    (12, "Dhaka Omsk"),
    (14, "Bangkok Jakarta Ho_Chi_Minh Saigon Novosibirsk Krasnoyarsk"),
    (16, "Shanghai Chongqing Urumqi Hong_Kong Macau Taipei Singapore Kuala_Lumpur Manila Perth"),
    (18, "Tokyo Seoul Pyongyang"),
    (19, "Adelaide Darwin"),
    (20, "Sydney Melbourne Brisbane Hobart Vladivostok"),
    (24, "Auckland Fiji"),
    (-7, "St_Johns"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_zone_an_environment_names_is_read() {
        for (text, half_hours) in [
            ("Platform: linux\nTimezone: Asia/Shanghai\nToday: 2026-11-02", 16),
            ("The user's time zone is America/Argentina/Buenos_Aires.", -6),
            ("env: TZ=Asia/Kolkata LANG=en_IN", 11),
            ("Current timezone: UTC+05:30", 11),
            ("Local time zone (UTC-3)", -6),
            ("timezone: \"GMT+0800\"", 16),
            ("当前时区：Asia/Tokyo", 18),
        ] {
            assert_eq!(of(text), Some(Zone(half_hours)), "{text}");
        }
    }

    #[test]
    fn zones_that_are_talked_about_and_those_of_servers_say_nothing() {
        for text in [
            "You convert times between zones. Example: America/New_York to Asia/Tokyo.",
            "Timezone: Europe/Paris or, on weekends, timezone: Asia/Tokyo",
            "timezone: UTC",
            "timezone: UTC+0",
            "time zone: unknown/Atlantis",
            "timezone handling lives in src/zones",
            "",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String, at in 0_usize..8) {
            let _ = of(&text);
            let _ = of(&format!("{}{text}", MARKS[at]));
        }
    }
}
