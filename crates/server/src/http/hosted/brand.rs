//! The colours of a tenant on the hosted pages, made of its one colour.
//!
//! The hue is kept. Lightness moves until everything can be read (WCAG 2.2, contrast ratio), in OKLCH, where equal
//! steps look equal. The surfaces are those of `hosted.css`.

/// What the colours of light or dark pages are made for.
struct Theme {
    /// What they stand on: page, card, what is raised in it.
    surfaces: [Rgb; 3],
    /// How light the faint tint behind everything is.
    soft: f64,
    /// What the lightness of the accent may be.
    accent: (f64, f64),
    /// Where the search for the text begins, and which way it goes.
    text: (f64, f64),
}

const LIGHT: Theme = Theme {
    surfaces: [Rgb([0xf6, 0xf7, 0xf9]), Rgb([0xff, 0xff, 0xff]), Rgb([0xfa, 0xfb, 0xfc])],
    soft: 0.95,
    accent: (0.0, 0.75),
    text: (0.55, -STEP),
};
const DARK: Theme = Theme {
    surfaces: [Rgb([0x0e, 0x10, 0x14]), Rgb([0x15, 0x18, 0x1e]), Rgb([0x1a, 0x1e, 0x25])],
    soft: 0.26,
    accent: (0.45, 0.7),
    text: (0.75, STEP),
};

/// What may stand on the accent.
const ON: [Rgb; 2] = [Rgb([0xff, 0xff, 0xff]), Rgb([0x14, 0x17, 0x1d])];
/// The contrast that text needs (1.4.3), and that what can be pressed needs (1.4.11).
const TEXT: f64 = 4.5;
const SHAPE: f64 = 3.0;
/// No colour is more vivid than this.
const MOST_CHROMA: f64 = 0.16;
/// How far lightness moves at once, and how often that fits between black and white.
const STEP: f64 = 0.005;
const STEPS: i32 = 200;

/// The custom properties of a tenant's colour, which is written `#rrggbb`; nothing for another text.
#[must_use]
pub fn stylesheet(colour: &str) -> Option<String> {
    let lch = Lch::of(Rgb::parse(colour)?);
    let lch = Lch { chroma: lch.chroma.min(MOST_CHROMA), ..lch };
    let (light, dark) = (LIGHT.properties(lch)?, DARK.properties(lch)?);
    Some(format!(":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"))
}

impl Theme {
    /// The properties of this theme, or nothing where no lightness is readable.
    fn properties(&self, colour: Lch) -> Option<String> {
        let (accent, on) = self.accent(colour)?;
        let hover = self.hover(accent, on);
        let soft = Lch { chroma: colour.chroma / 4.0, ..colour }.at(self.soft);
        let text = self.text(colour, soft)?;
        let [accent, hover, on, text, soft] = [accent.rgb(), hover, on, text, soft].map(Rgb::hex);
        Some(format!(
            "--accent:{accent};--accent-hover:{hover};--on-accent:{on};--accent-text:{text};--accent-soft:{soft};\
             --focus:{text}"
        ))
    }

    /// What can be read on a colour, where that can be told from the surfaces.
    fn on(&self, colour: Rgb) -> Option<Rgb> {
        let is_visible = self.surfaces.iter().all(|surface| contrast(colour, *surface) >= SHAPE);
        let [white, ink] = ON;
        let best = if contrast(colour, white) >= contrast(colour, ink) { white } else { ink };
        (is_visible && contrast(colour, best) >= TEXT).then_some(best)
    }

    /// The nearest lightness that can be pressed and read, and what stands on it.
    fn accent(&self, colour: Lch) -> Option<(Lch, Rgb)> {
        let (least, most) = self.accent;
        let start = colour.lightness.clamp(least, most);
        let ways = (0..STEPS).flat_map(|step| [-STEP, STEP].map(|way| start + way * f64::from(step)));
        let mut shades = ways.filter(|lightness| (least..=most).contains(lightness));
        shades.find_map(|lightness| {
            let shade = Lch { lightness, ..colour };
            Some((shade, self.on(shade.rgb())?))
        })
    }

    /// A shade that differs visibly, on which the same can be read.
    fn hover(&self, accent: Lch, on: Rgb) -> Rgb {
        let shades = [-0.05, 0.05, -0.025, 0.025, 0.2].map(|way| accent.at(accent.lightness + way));
        let mut readable = shades.into_iter().filter(|shade| self.on(*shade) == Some(on));
        readable.find(|shade| *shade != accent.rgb()).unwrap_or(accent.rgb())
    }

    /// The nearest lightness at which text can be read on every surface and on the tint.
    fn text(&self, colour: Lch, soft: Rgb) -> Option<Rgb> {
        let (from, way) = self.text;
        let start = if way < 0.0 { colour.lightness.min(from) } else { colour.lightness.max(from) };
        let mut shades = (0..STEPS).map(|step| colour.at(start + way * f64::from(step)));
        shades.find(|shade| self.surfaces.iter().chain([&soft]).all(|below| contrast(*shade, *below) >= TEXT))
    }
}

/// A colour of the screen (sRGB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rgb([u8; 3]);

impl Rgb {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    fn hex(self) -> String {
        let Self([red, green, blue]) = self;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// In proportion to light, 0 to 1.
    fn linear(self) -> [f64; 3] {
        self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        })
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.linear();
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

/// Contrast ratio (WCAG 2.2), 1 to 21.
fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (one.luminance() + 0.05, other.luminance() + 0.05);
    one.max(other) / one.min(other)
}

/// A colour in OKLCH; the hue is in radians.
#[derive(Debug, Clone, Copy)]
struct Lch {
    lightness: f64,
    chroma: f64,
    hue: f64,
}

impl Lch {
    fn of(colour: Rgb) -> Self {
        let [red, green, blue] = colour.linear();
        let long = (0.412_221_470_8 * red + 0.536_332_536_3 * green + 0.051_445_992_9 * blue).cbrt();
        let middle = (0.211_903_498_2 * red + 0.680_699_545_1 * green + 0.107_396_956_6 * blue).cbrt();
        let short = (0.088_302_461_9 * red + 0.281_718_837_6 * green + 0.629_978_700_5 * blue).cbrt();
        let lightness = 0.210_454_255_3 * long + 0.793_617_785 * middle - 0.004_072_046_8 * short;
        let a = 1.977_998_495_1 * long - 2.428_592_205 * middle + 0.450_593_709_9 * short;
        let b = 0.025_904_037_1 * long + 0.782_771_766_2 * middle - 0.808_675_766 * short;
        Self { lightness, chroma: a.hypot(b), hue: b.atan2(a) }
    }

    /// The parts of light; outside 0 to 1 where no screen shows it.
    fn linear(self) -> [f64; 3] {
        let (a, b) = (self.chroma * self.hue.cos(), self.chroma * self.hue.sin());
        let long = (self.lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
        let middle = (self.lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
        let short = (self.lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
        [
            4.076_741_662_1 * long - 3.307_711_591_3 * middle + 0.230_969_929_2 * short,
            -1.268_438_004_6 * long + 2.609_757_401_1 * middle - 0.341_319_396_5 * short,
            -0.004_196_086_3 * long - 0.703_418_614_7 * middle + 1.707_614_701 * short,
        ]
    }

    /// The most vivid colour of this lightness and hue that a screen shows, up to this chroma.
    fn rgb(self) -> Rgb {
        let lightness = self.lightness.clamp(0.0, 1.0);
        let fits = |shade: &Self| shade.linear().iter().all(|part| (-0.001..=1.001).contains(part));
        let fainter = (0..=32).map(|step| self.chroma * f64::from(32 - step) / 32.0);
        let mut shades = fainter.map(|chroma| Self { lightness, chroma, ..self });
        let shown = shades.find(fits).unwrap_or(Self { lightness, chroma: 0.0, ..self });
        Rgb(shown.linear().map(|part| {
            let part = if part <= 0.003_130_8 { part * 12.92 } else { 1.055 * part.powf(1.0 / 2.4) - 0.055 };
            (part * 255.0).round() as u8
        }))
    }

    fn at(self, lightness: f64) -> Rgb {
        Self { lightness, ..self }.rgb()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a property in a half of the stylesheet.
    fn value(half: &str, name: &str) -> Rgb {
        let text = half.split(&format!("--{name}:")).nth(1).unwrap();
        Rgb::parse(&text[..7]).unwrap()
    }

    /// Every sixteenth shade of red, green and blue: all hues, pale and vivid, light and dark, and the greys.
    fn colours() -> impl Iterator<Item = String> {
        (0..4096).map(|n| format!("#{:02x}{:02x}{:02x}", (n >> 8) * 17, (n >> 4 & 15) * 17, (n & 15) * 17))
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        for (one, other, ratio) in [
            ("#000000", "#ffffff", 21.0),
            ("#767676", "#ffffff", 4.54),
            ("#ff0000", "#ffffff", 4.0),
            ("#123456", "#123456", 1.0),
        ] {
            let found = contrast(Rgb::parse(one).unwrap(), Rgb::parse(other).unwrap());
            assert!((found - ratio).abs() < 0.005, "{one} {other} {found}");
        }
    }

    #[test]
    fn text_of_every_colour_can_be_read_and_buttons_can_be_seen() {
        for colour in colours() {
            let sheet = stylesheet(&colour).unwrap();
            let (light, dark) = sheet.split_once("@media").unwrap();
            for (half, theme) in [(light, &LIGHT), (dark, &DARK)] {
                let of = |name| value(half, name);
                for ground in ["accent", "accent-hover"].map(of) {
                    assert!(contrast(of("on-accent"), ground) >= TEXT, "{colour} {sheet}");
                    assert!(
                        theme.surfaces.iter().all(|surface| contrast(ground, *surface) >= SHAPE),
                        "{colour} {sheet}"
                    );
                }
                for ground in theme.surfaces.into_iter().chain([of("accent-soft")]) {
                    for text in ["accent-text", "focus"].map(of) {
                        assert!(contrast(text, ground) >= TEXT, "{colour} {sheet}");
                    }
                }
                assert_ne!(of("accent"), of("accent-hover"), "{colour} {sheet}");
            }
        }
    }

    #[test]
    fn muted_text_can_be_read_on_the_tint_of_every_colour() {
        for colour in colours() {
            let sheet = stylesheet(&colour).unwrap();
            let (light, dark) = sheet.split_once("@media").unwrap();
            for (half, muted) in [(light, "#5f6875"), (dark, "#939cab")] {
                let muted = Rgb::parse(muted).unwrap();
                assert!(contrast(muted, value(half, "accent-soft")) >= TEXT, "{colour} {sheet}");
            }
        }
    }

    #[test]
    fn colour_that_can_be_read_stays_as_it_is() {
        for colour in ["#9c3d12", "#335f9c", "#136c3c", "#5b2a86"] {
            let found = value(&stylesheet(colour).unwrap(), "accent");
            let near = |(one, other): (u8, u8)| one.abs_diff(other) <= 3;
            assert!(found.0.into_iter().zip(Rgb::parse(colour).unwrap().0).all(near), "{colour} {}", found.hex());
        }
    }

    #[test]
    fn hue_is_kept() {
        for colour in ["#ffee00", "#00ff00", "#ff00aa", "#00ffff", "#ff7700", "#0000ff"] {
            let wanted = Lch::of(Rgb::parse(colour).unwrap()).hue;
            let sheet = stylesheet(colour).unwrap();
            for name in ["accent", "accent-text"] {
                let turn = (Lch::of(value(&sheet, name)).hue - wanted).rem_euclid(std::f64::consts::TAU);
                assert!(turn.min(std::f64::consts::TAU - turn) < 0.06, "{colour} {name} {turn} {sheet}");
            }
        }
    }

    #[test]
    fn stylesheet_is_short_and_made_of_colours_alone() {
        for colour in colours() {
            assert!(stylesheet(&colour).is_some_and(|sheet| sheet.len() <= 400), "{colour}");
        }
        for bad in ["", "#", "#12345", "#1234567", "123456", "#12345g", "#+12345", "#ääa", "red", "#00000}"] {
            assert_eq!(stylesheet(bad), None, "{bad}");
        }
    }
}
