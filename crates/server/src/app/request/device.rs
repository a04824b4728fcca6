//! What a User-Agent says of a device, for people who look for the session that is not theirs. Words are looked for in an
//! order in which the more particular comes first, as browsers claim to be each other.

use gatehouse_domain::session::{Device, DeviceKind};

/// Programs that nobody sits at, by the words that no other agent has.
const BOTS: &[&str] = &[
    "facebookexternalhit",
    "WhatsApp/",
    "HeadlessChrome",
    "WindowsPowerShell",
    "PowerShell",
    "curl/",
    "Wget/",
    "HTTPie/",
    "xh/",
    "python-requests",
    "Python-urllib",
    "python-httpx",
    "aiohttp",
    "Go-http-client",
    "Java-http-client",
    "Apache-HttpClient",
    "Java/",
    "axios/",
    "node-fetch",
    "undici",
    "reqwest",
    "GuzzleHttp",
    "Faraday",
    "PostmanRuntime",
    "insomnia",
    "libwww-perl",
    "k6/",
    "Prometheus",
    "kube-probe",
    "Lynx",
];
/// The same, where the word alone is the agent.
const BARE_BOTS: &[&str] = &["node", "Ruby"];
/// What crawlers call themselves ends so.
const CRAWLERS: &[&str] = &["bot", "spider", "crawler", "robot"];

/// Televisions, consoles, headsets and the like.
const THINGS: &[(&str, &str)] = &[
    ("BRAVIA", "Sony TV"),
    ("AFT", "Fire TV"),
    ("CrKey", "Chromecast"),
    ("Google TV", "Google TV"),
    ("Android TV", "Android TV"),
    ("AppleTV", "Apple TV"),
    ("Roku", "Roku"),
    ("Tizen", "Samsung TV"),
    ("Web0S", "LG TV"),
    ("HbbTV", "Television"),
    ("SmartTV", "Television"),
    ("PlayStation 5", "PlayStation 5"),
    ("PlayStation 4", "PlayStation 4"),
    ("PlayStation", "PlayStation"),
    ("Xbox", "Xbox"),
    ("Nintendo Switch", "Nintendo Switch"),
    ("WiiU", "Nintendo Wii U"),
    ("Nintendo", "Nintendo"),
    ("Steam Deck", "Steam Deck"),
    ("Valve Steam", "Steam"),
    ("OculusBrowser", "Meta Quest"),
    ("PicoBrowser", "Pico"),
    ("Tesla/", "Tesla"),
    ("Kindle/", "Kindle"),
];

/// The HTTP stacks of native programs, with the name of those that do not send one of their own.
const STACKS: &[(&str, &str)] = &[
    ("CFNetwork/", "CFNetwork"),
    ("Alamofire/", "Alamofire"),
    ("okhttp", "okhttp"),
    ("Dalvik/", "Android app"),
    ("Dart/", "Dart"),
    ("ktor-client", "ktor-client"),
    ("UnityPlayer", "Unity"),
];

/// Browsers, and programs that show pages in a view of their own.
const BROWSERS: &[(&str, &str)] = &[
    ("FBAN/", "Facebook"),
    ("FB_IAB/", "Facebook"),
    ("Instagram", "Instagram"),
    ("LinkedInApp", "LinkedIn"),
    (" Line/", "LINE"),
    ("MicroMessenger/", "WeChat"),
    ("Snapchat/", "Snapchat"),
    ("[Pinterest/", "Pinterest"),
    ("musical_ly", "TikTok"),
    ("Bytedance", "TikTok"),
    ("Twitter for", "X"),
    ("TwitterAndroid", "X"),
    ("KAKAOTALK", "KakaoTalk"),
    ("GSA/", "Google app"),
    ("Slack/", "Slack"),
    ("Teams/", "Teams"),
    (" Code/", "Visual Studio Code"),
    ("Electron/", "Electron"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("OPiOS/", "Opera"),
    ("Opera", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("Brave/", "Brave"),
    ("UCBrowser/", "UC Browser"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("QQBrowser/", "QQ Browser"),
    ("Silk/", "Silk"),
    ("Whale/", "Whale"),
    ("Focus/", "Firefox Focus"),
    ("Epiphany/", "Epiphany"),
    ("Falkon/", "Falkon"),
    ("SeaMonkey/", "SeaMonkey"),
    ("PaleMoon/", "Pale Moon"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("; wv)", "WebView"),
    ("ArkWeb/", "WebView"),
    ("Chrome/", "Chrome"),
    ("MSIE ", "Internet Explorer"),
    ("Trident/", "Internet Explorer"),
    ("Safari/", "Safari"),
    ("AppleWebKit/", "WebView"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("Windows Phone", "Windows Phone"),
    ("Windows", "Windows"),
    ("iPhone", "iOS"),
    ("iPod", "iOS"),
    ("iPad", "iPadOS"),
    ("CrOS", "ChromeOS"),
    ("OpenHarmony", "HarmonyOS"),
    ("KAIOS", "KaiOS"),
    ("Android", "Android"),
    ("Macintosh", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
];

/// The longest name that an agent gives itself, in characters.
const OWN_NAME_MAX: usize = 40;

/// Describes a device by its User-Agent.
#[must_use]
pub fn describe(user_agent: &str) -> Device {
    let device = |kind, name: &str| Device { kind, name: Some(name.to_owned()) };
    if let Some(name) = bot(user_agent) {
        return device(DeviceKind::Bot, name);
    }
    if let Some(name) = found(THINGS, user_agent) {
        return device(DeviceKind::Unknown, name);
    }
    if let Some(name) = found(STACKS, user_agent) {
        return Device { kind: DeviceKind::App, name: Some(own_name(user_agent).unwrap_or_else(|| name.to_owned())) };
    }
    match (found(BROWSERS, user_agent), found(SYSTEMS, user_agent)) {
        (Some(browser), Some(system)) => device(kind(user_agent, system), &format!("{browser} on {system}")),
        _ => Device { kind: DeviceKind::Unknown, name: None },
    }
}

fn found(words: &[(&str, &'static str)], user_agent: &str) -> Option<&'static str> {
    words.iter().find(|(word, _)| user_agent.contains(word)).map(|(_, name)| *name)
}

/// The name of a program that nobody sits at.
fn bot(user_agent: &str) -> Option<&str> {
    if BARE_BOTS.contains(&user_agent) {
        return Some(user_agent);
    }
    let words = user_agent.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let mut words = words.filter(|word| word.len() <= OWN_NAME_MAX);
    let crawler = words.find(|word| {
        let lower = word.to_ascii_lowercase();
        let parts = lower.split('-');
        parts.into_iter().any(|part| CRAWLERS.iter().any(|crawler| part.ends_with(crawler) && part != "cubot"))
    });
    let is_word = |word: &str| {
        let before = user_agent.split_once(word).map(|(before, _)| before);
        before.is_some_and(|before| !before.ends_with(char::is_alphanumeric))
    };
    crawler.or_else(|| BOTS.iter().find(|word| is_word(word)).map(|word| word.trim_end_matches('/')))
}

/// The name that a native program puts before the one of its HTTP stack.
fn own_name(user_agent: &str) -> Option<String> {
    let (name, _) = user_agent.split_once('/')?;
    let name = name.replace("%20", " ");
    let is_name = name.chars().all(|c| c.is_alphanumeric() || " ._-".contains(c));
    let is_stack = STACKS.iter().any(|(word, _)| word.starts_with(&name));
    (is_name && !is_stack && !name.is_empty() && name.chars().count() <= OWN_NAME_MAX).then_some(name)
}

fn kind(user_agent: &str, system: &str) -> DeviceKind {
    // A tablet's browser on Android leaves out the word that a telephone's has.
    let is_mobile = user_agent.contains("Mobile") || user_agent.contains("Opera Mini");
    match system {
        "iPadOS" => DeviceKind::Tablet,
        "iOS" | "KaiOS" | "Windows Phone" => DeviceKind::Mobile,
        "Android" | "HarmonyOS" if is_mobile => DeviceKind::Mobile,
        "Android" | "HarmonyOS" => DeviceKind::Tablet,
        _ => DeviceKind::Desktop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_apart_by_their_user_agents() {
        let table = include_str!("user_agents.tsv");
        assert!(table.lines().count() >= 150);
        for line in table.lines() {
            let [kind, name, user_agent] = line.split('\t').collect::<Vec<_>>()[..] else { unreachable!("{line}") };
            let device = describe(user_agent);
            assert_eq!((device.kind.as_str(), device.name.as_deref()), (kind, Some(name)), "{user_agent}");
        }
    }

    #[test]
    fn unrecognised_agents_are_unknown_and_nameless() {
        for user_agent in ["", "x", "hello world", "\u{1b}[31m<script>", "Mozilla/5.0"] {
            assert_eq!(describe(user_agent), Device { kind: DeviceKind::Unknown, name: None }, "{user_agent}");
        }
    }

    #[test]
    fn name_that_an_agent_gives_itself_is_short_and_plain() {
        for user_agent in ["<b>/1 CFNetwork/1", &format!("{}/1 CFNetwork/1", "a".repeat(41)), "/1 CFNetwork/1"] {
            assert_eq!(describe(user_agent).name.as_deref(), Some("CFNetwork"), "{user_agent}");
        }
    }
}
