//! What the hosted pages say, in each language.
//!
//! English, Spanish and German stand beside each other, so that a text is changed in all of them or does not compile.
//! Spanish says "tú", German says "Sie". No text supposes a gender, and none is put together from others.

use super::ScopeLine;

/// A text.
type Text = &'static str;
/// What stands before and after one name or number.
type Around = [Text; 2];
/// What stands before, between and after two names.
type AroundTwo = [Text; 3];
/// What happened, and what can be done; or what a scope allows, and what that includes.
type Both = [Text; 2];

/// A table of `name: type = English, Spanish, German;` becomes the struct and its three values.
macro_rules! texts {
    ($(#[$about:meta])* $texts:ident; $($name:ident: $kind:ty = $en:expr, $es:expr, $de:expr;)*) => {
        $(#[$about])*
        #[derive(Debug)]
        pub struct $texts { $(#[doc = stringify!($en)] pub $name: $kind,)* }
        /// English.
        pub static EN: $texts = $texts { $($name: $en,)* };
        /// Spanish.
        pub static ES: $texts = $texts { $($name: $es,)* };
        /// German.
        pub static DE: $texts = $texts { $($name: $de,)* };
    };
}

pub mod account;
pub mod device;
pub mod platform;
pub mod stranger;

texts! {
    /// Every text of the hosted pages in one language.
    Texts;

    lang: Text = "en", "es", "de";
    account: &'static account::Account = &account::EN, &account::ES, &account::DE;
    device: &'static device::Device = &device::EN, &device::ES, &device::DE;
    platform: &'static platform::Platform = &platform::EN, &platform::ES, &platform::DE;
    stranger: &'static stranger::Stranger = &stranger::EN, &stranger::ES, &stranger::DE;
    language: Text = "Language", "Idioma", "Sprache";
    secured: Text = "Secured by Gatehouse", "Protegido por Gatehouse", "Geschützt durch Gatehouse";
    to_continue: Around = ["to continue to ", ""], ["para continuar en ", ""], ["um mit ", " fortzufahren"];

    sign_in: Text = "Sign in", "Iniciar sesión", "Anmelden";
    username: Text = "User name or e-mail", "Usuario o correo electrónico", "Benutzername oder E-Mail-Adresse";
    password: Text = "Password", "Contraseña", "Passwort";
    missing_username: Text = "Enter the user name or e-mail address.",
        "Escribe el usuario o el correo electrónico.",
        "Geben Sie Benutzername oder E-Mail-Adresse ein.";
    missing_password: Text = "Enter the password.", "Escribe la contraseña.", "Geben Sie das Passwort ein.";
    wrong: Both = ["User name or password is wrong.", "Check both and try again."],
        ["El usuario o la contraseña no es correcto.", "Revisa ambos y vuelve a intentarlo."],
        ["Benutzername oder Passwort ist falsch.", "Prüfen Sie beides und versuchen Sie es noch einmal."];
    too_many_attempts: Text = "Too many attempts.", "Demasiados intentos.", "Zu viele Versuche.";
    wait_second: Text = "Try again in 1 second.",
        "Vuelve a intentarlo dentro de 1 segundo.",
        "Versuchen Sie es in 1 Sekunde noch einmal.";
    wait_seconds: Around = ["Try again in ", " seconds."],
        ["Vuelve a intentarlo dentro de ", " segundos."],
        ["Versuchen Sie es in ", " Sekunden noch einmal."];
    wait_minutes: Around = ["Try again in ", " minutes."],
        ["Vuelve a intentarlo dentro de ", " minutos."],
        ["Versuchen Sie es in ", " Minuten noch einmal."];
    email_not_verified: Both =
        ["The e-mail address is not confirmed yet.", "Open the link in the mail that was sent to it, then sign in."],
        ["El correo electrónico aún no está confirmado.",
            "Abre el enlace del mensaje que se envió a esa dirección y después inicia sesión."],
        ["Die E-Mail-Adresse ist noch nicht bestätigt.",
            "Öffnen Sie den Link in der Nachricht an diese Adresse und melden Sie sich dann an."];
    sign_in_suspended: Both = ["Sign-in is suspended here.", "Ask the people who run this service."],
        ["El inicio de sesión está suspendido aquí.", "Pregunta a quienes administran este servicio."],
        ["Die Anmeldung ist hier gesperrt.", "Fragen Sie, wer diesen Dienst betreibt."];
    busy: Both = ["Many people are signing in right now.", "Try again in a few seconds."],
        ["Ahora mismo hay muchos inicios de sesión.", "Vuelve a intentarlo dentro de unos segundos."],
        ["Gerade melden sich sehr viele an.", "Versuchen Sie es in einigen Sekunden noch einmal."];
    limit_reached: Both =
        ["No more devices can be signed in.", "Sign out on one of the others, then try again."],
        ["No se puede iniciar sesión en más dispositivos.", "Cierra la sesión en otro y vuelve a intentarlo."],
        ["Auf weiteren Geräten ist keine Anmeldung möglich.",
            "Melden Sie sich auf einem anderen ab und versuchen Sie es noch einmal."];
    unavailable: Both = ["Sign-in does not work at the moment.", "Nothing was changed. Try again in a minute."],
        ["El inicio de sesión no funciona en este momento.",
            "No se ha cambiado nada. Vuelve a intentarlo dentro de un minuto."],
        ["Die Anmeldung ist im Moment nicht möglich.",
            "Es wurde nichts geändert. Versuchen Sie es in einer Minute noch einmal."];
    page_too_old: Text = "The page had been open for too long, so it starts again.",
        "La página llevaba demasiado tiempo abierta y empieza de nuevo.",
        "Die Seite war zu lange offen und beginnt von vorn.";
    other_browser: Text = "The form came from another browser, or cookies were deleted. It starts again.",
        "El formulario era de otro navegador, o se borraron las cookies. Empieza de nuevo.",
        "Das Formular kam aus einem anderen Browser, oder die Cookies wurden gelöscht. Es beginnt von vorn.";

    is_signed_in: Around = ["", " is signed in. If somebody else signs in, that session ends."],
        ["Hay una sesión de ", ". Si entra otra persona, esa sesión se cierra."],
        ["", " ist angemeldet. Meldet sich jemand anders an, endet diese Sitzung."];

    select_account: Text = "Choose an account", "Elige una cuenta", "Konto auswählen";
    continue_as: Around = ["Continue as ", ""], ["Continuar como ", ""], ["Weiter als ", ""];
    another_account: Text = "Use another account", "Usar otra cuenta", "Anderes Konto verwenden";

    asks_for_access: Around = ["", " asks for access"], ["", " pide acceso"], ["", " bittet um Zugriff"];
    asks: AroundTwo = ["", " asks to use your ", " account"],
        ["", " pide usar tu cuenta de ", ""],
        ["", " möchte Ihr Konto bei ", " verwenden"];
    goes_back: Around = ["You go back to ", "."], ["Después vuelves a ", "."], ["Danach geht es zurück zu ", "."];
    not_you: Text = "Not you?", "¿No eres tú?", "Nicht Sie?";
    able: Around = ["", " will be able to"], ["", " podrá"], ["", " kann dann"];
    recognise: Text = "Recognise you when you come back",
        "Reconocerte cuando vuelvas",
        "Sie wiedererkennen, wenn Sie zurückkommen";
    profile: Both = ["See your name", "Name and user name"],
        ["Ver tu nombre", "Nombre y usuario"],
        ["Ihren Namen sehen", "Name und Benutzername"];
    email: Both = ["See your e-mail address", "And whether it is confirmed"],
        ["Ver tu correo electrónico", "Y si está confirmado"],
        ["Ihre E-Mail-Adresse sehen", "Und ob sie bestätigt ist"];
    phone: Both = ["See your phone number", ""], ["Ver tu número de teléfono", ""], ["Ihre Telefonnummer sehen", ""];
    roles: Both = ["See your roles", "The names of the roles that you have here"],
        ["Ver tus roles", "Los nombres de los roles que tienes aquí"],
        ["Ihre Rollen sehen", "Die Namen der Rollen, die Sie hier haben"];
    attributes: Both = ["See further details about you", "The additional data stored with your account"],
        ["Ver otros datos sobre ti", "Los datos adicionales guardados con tu cuenta"],
        ["Weitere Angaben über Sie sehen", "Die zusätzlichen Daten zu Ihrem Konto"];
    offline_access: Both = ["Stay connected while you are away", "Also after you sign out of this browser"],
        ["Mantener la conexión cuando no estás", "También después de cerrar la sesión en este navegador"],
        ["Verbunden bleiben, wenn Sie nicht da sind", "Auch nachdem Sie sich in diesem Browser abgemeldet haben"];
    account_read: Both = ["See your account", "Details, sessions and devices"],
        ["Ver tu cuenta", "Datos, sesiones y dispositivos"],
        ["Ihr Konto sehen", "Angaben, Sitzungen und Geräte"];
    account_write: Both = ["Change your account", "Not the password and not the e-mail address"],
        ["Cambiar tu cuenta", "Ni la contraseña ni el correo electrónico"],
        ["Ihr Konto ändern", "Nicht das Passwort und nicht die E-Mail-Adresse"];
    admin_read: Both = ["See what you can see as an administrator", ""],
        ["Ver lo que puedes ver en la administración", ""],
        ["Sehen, was Sie in der Verwaltung sehen können", ""];
    admin_write: Both = ["Change what you can change as an administrator", "And see what you can see there"],
        ["Cambiar lo que puedes cambiar en la administración", "Y ver lo que puedes ver allí"],
        ["Ändern, was Sie in der Verwaltung ändern können", "Und sehen, was Sie dort sehen können"];
    at_resource: Around = ["This is for the service at ", "."],
        ["Es para el servicio de ", "."],
        ["Das gilt für den Dienst unter ", "."];
    refuse: Text = "Do not allow", "No permitir", "Nicht zulassen";
    allow: Text = "Allow", "Permitir", "Zulassen";
    about: Around = ["About ", ", in a new tab:"], ["Sobre ", ", en otra pestaña:"], ["Über ", ", in einem neuen Tab:"];
    website: Text = "Website", "Sitio web", "Website";
    privacy: Text = "Privacy", "Privacidad", "Datenschutz";
    terms: Text = "Terms", "Condiciones", "Nutzungsbedingungen";

    back: Text = "Back to the application", "De vuelta a la aplicación", "Zurück zur Anwendung";
    back_by_button: Text = "If nothing happens, press the button.",
        "Si no ocurre nada, pulsa el botón.",
        "Wenn nichts geschieht, drücken Sie den Knopf.";
    go_on: Text = "Continue", "Continuar", "Weiter";

    sign_out: Text = "Sign out", "Cerrar sesión", "Abmelden";
    sign_out_of: Around = ["Sign out of ", "?"], ["¿Cerrar sesión en ", "?"], ["Bei ", " abmelden?"];
    signed_in_as: Around = ["", " is signed in. Applications that use this sign-in are signed out too."],
        ["Sesión de ", ". También se cierra en las aplicaciones que la usan."],
        ["", " ist angemeldet. Auch Anwendungen, die diese Anmeldung nutzen, werden abgemeldet."];
    stay: Text = "To stay signed in, close this page.",
        "Para seguir con la sesión iniciada, cierra esta página.",
        "Um angemeldet zu bleiben, schließen Sie diese Seite.";
    back_to: Around = ["Back to ", ""], ["Volver a ", ""], ["Zurück zu ", ""];
    signed_out: Text = "You are signed out", "Sesión cerrada", "Sie sind abgemeldet";
    close: Text = "You can close this page.", "Puedes cerrar esta página.", "Sie können diese Seite schließen.";

    not_by_address: Text = "This page cannot be opened by its address. Go back to the application and start again.",
        "Esta página no se puede abrir por su dirección. Vuelve a la aplicación y empieza de nuevo.",
        "Diese Seite lässt sich nicht über ihre Adresse öffnen. Gehen Sie zurück zur Anwendung und beginnen Sie von vorn.";
    failed: Text = "That did not work", "No ha funcionado", "Das hat nicht funktioniert";
    reference: Text = "Reference for support:", "Referencia para la asistencia:", "Referenz für den Support:";
    unknown_application: Text =
        "The application that sent you here is not known here. Tell the people who run it.",
        "La aplicación que te ha enviado aquí no se conoce aquí. Avisa a quienes la administran.",
        "Die Anwendung, von der Sie kommen, ist hier nicht bekannt. Sagen Sie es denen, die sie betreiben.";
    unregistered_redirect_uri: Text =
        "The application asked to send you to an address that is not registered for it. Nothing was sent there. Tell \
         the people who run the application.",
        "La aplicación pidió enviarte a una dirección que no está registrada para ella. No se ha enviado nada allí. \
         Avisa a quienes administran la aplicación.",
        "Die Anwendung wollte Sie zu einer Adresse schicken, die nicht für sie eingetragen ist. Dorthin wurde nichts \
         gesendet. Sagen Sie es denen, die die Anwendung betreiben.";
    missing_redirect_uri: Text =
        "The application did not say where you go back to. Tell the people who run it.",
        "La aplicación no ha dicho adónde vuelves después. Avisa a quienes la administran.",
        "Die Anwendung hat nicht gesagt, wohin es zurückgeht. Sagen Sie es denen, die sie betreiben.";
    repeated_parameter: Text =
        "The application sent the same value more than once. Tell the people who run it.",
        "La aplicación ha enviado el mismo valor más de una vez. Avisa a quienes la administran.",
        "Die Anwendung hat denselben Wert mehrmals gesendet. Sagen Sie es denen, die sie betreiben.";
    application_suspended: Text =
        "This application is suspended, so nobody can sign in to it now. Tell the people who run it.",
        "Esta aplicación está suspendida y ahora nadie puede iniciar sesión en ella. Avisa a quienes la administran.",
        "Diese Anwendung ist gesperrt, eine Anmeldung ist jetzt nicht möglich. Sagen Sie es denen, die sie betreiben.";
    tenant_suspended: Text = "Sign-in is suspended here. Ask the people who run this service.",
        "El inicio de sesión está suspendido aquí. Pregunta a quienes administran este servicio.",
        "Die Anmeldung ist hier gesperrt. Fragen Sie, wer diesen Dienst betreibt.";
    too_large: Text = "The application sent more than is taken here. Tell the people who run it.",
        "La aplicación ha enviado más de lo que se acepta aquí. Avisa a quienes la administran.",
        "Die Anwendung hat mehr gesendet, als hier angenommen wird. Sagen Sie es denen, die sie betreiben.";
    request_lost: Text =
        "This page cannot be gone on with: it is not whole, or was not made here. Start again at the application.",
        "No se puede continuar con esta página: no está completa o no se hizo aquí. Empieza de nuevo en la aplicación.",
        "Mit dieser Seite geht es nicht weiter: Sie ist nicht vollständig oder nicht von hier. Beginnen Sie in der \
         Anwendung von vorn.";
    cross_site: Text = "The form was sent from another site, so nothing was changed. Start again at the application.",
        "El formulario se envió desde otro sitio y no se ha cambiado nada. Empieza de nuevo en la aplicación.",
        "Das Formular kam von einer anderen Website. Es wurde nichts geändert. Beginnen Sie in der Anwendung von vorn.";
    internal: Text = "Something went wrong here. Try again in a minute.",
        "Aquí ha fallado algo. Vuelve a intentarlo dentro de un minuto.",
        "Hier ist ein Fehler aufgetreten. Versuchen Sie es in einer Minute noch einmal.";
}

/// From here on a wait is told in minutes.
const MINUTES_FROM: u64 = 120;

impl Texts {
    /// When the next attempt is taken; never too early.
    #[must_use]
    pub fn wait(&self, seconds: u64) -> String {
        let ([before, after], number) = match seconds {
            0 | 1 => return self.wait_second.to_owned(),
            2..MINUTES_FROM => (self.wait_seconds, seconds),
            MINUTES_FROM.. => (self.wait_minutes, seconds.div_ceil(60)),
        };
        format!("{before}{number}{after}")
    }

    /// How long ago something was, in whole minutes.
    #[must_use]
    pub fn ago(&self, minutes: u64) -> String {
        let [before, after] = match minutes {
            0 => return self.device.just_now.to_owned(),
            1 => return self.device.minute_ago.to_owned(),
            _ => self.device.minutes_ago,
        };
        format!("{before}{minutes}{after}")
    }

    /// A scope in words. One of an API is shown by its name, with what the API says of it; `openid` is not shown,
    /// because a sign-in always says who somebody is.
    #[must_use]
    pub fn scope<'a>(&'static self, name: &'a str, description: Option<&'a str>) -> Option<ScopeLine<'a>> {
        let [title, detail] = match name {
            "openid" => return None,
            "profile" => self.profile,
            "email" => self.email,
            "phone" => self.phone,
            "roles" => self.roles,
            "attributes" => self.attributes,
            "offline_access" => self.offline_access,
            "account:read" => self.account_read,
            "account:write" => self.account_write,
            "admin:read" => self.admin_read,
            "admin:write" => self.admin_write,
            _ => return Some(ScopeLine { title: name, detail: description }),
        };
        Some(ScopeLine { title, detail: Some(detail).filter(|detail| !detail.is_empty()) })
    }
}

/// The language of a page: the first of `ui_locales` that there is, else what the browser likes best, else English.
#[must_use]
pub fn choose(ui_locales: Option<&str>, accept_language: Option<&str>) -> &'static Texts {
    let asked = ui_locales.unwrap_or_default().split_ascii_whitespace().find_map(of_tag);
    asked.or_else(|| liked(accept_language.unwrap_or_default())).unwrap_or(&EN)
}

/// Every language that the pages are in, by its tag and its own name.
pub const LANGUAGES: [(&str, &str); 3] = [("en", "English"), ("es", "Español"), ("de", "Deutsch")];

/// The texts for a language tag (BCP 47): `es-MX` is Spanish too.
fn of_tag(tag: &str) -> Option<&'static Texts> {
    let language = tag.split('-').next()?;
    [&EN, &ES, &DE].into_iter().find(|texts| texts.lang.eq_ignore_ascii_case(language))
}

/// What an `Accept-Language` likes best of what there is; the first of those that it likes equally.
fn liked(accept_language: &str) -> Option<&'static Texts> {
    let known = accept_language.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let texts = of_tag(parts.next()?)?;
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>).ok()?;
        (quality > 0.0 && quality <= 1.0).then_some((texts, quality))
    });
    // `max_by` takes the last of equals.
    known.min_by(|(_, one), (_, other)| other.total_cmp(one)).map(|(texts, _)| texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ui_locales: &str, accept_language: &str) -> &'static str {
        choose(Some(ui_locales), Some(accept_language)).lang
    }

    #[test]
    fn language_is_the_first_of_ui_locales_that_there_is() {
        for (ui_locales, lang) in
            [("de", "de"), ("fr es-MX de", "es"), ("DE-at", "de"), ("de-Latn-CH-1996", "de"), ("  es  ", "es")]
        {
            assert_eq!(chosen(ui_locales, "en"), lang, "{ui_locales}");
        }
    }

    #[test]
    fn language_is_what_the_browser_likes_best_where_no_locale_is_known() {
        for (header, lang) in [
            ("es", "es"),
            ("fr-CH, fr;q=0.9, en;q=0.7, de;q=0.8, *;q=0.5", "de"),
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("en;q=0.5,es;q=0.5", "en"),
            ("es;q=0.5,en;q=0.5", "es"),
            ("de;q=0, es;q=0.001", "es"),
            ("de ; q=0.2 , es ; q=0.3", "es"),
        ] {
            assert_eq!(chosen("fr", header), lang, "{header}");
            assert_eq!(choose(None, Some(header)).lang, lang, "{header}");
        }
    }

    #[test]
    fn language_is_english_where_nothing_is_known() {
        for header in ["", "*", "fr", "den, esperanto, d", "de;q=0", "de;q=2", "de;q=NaN", "de;q=x", ";;,,;q=1", "-de"]
        {
            assert_eq!(chosen("", header), "en", "{header}");
        }
        assert_eq!(choose(None, None).lang, "en");
    }

    #[test]
    fn wait_is_told_in_seconds_and_from_two_minutes_on_in_minutes_rounded_up() {
        for (seconds, text) in [
            (0, "Try again in 1 second."),
            (1, "Try again in 1 second."),
            (2, "Try again in 2 seconds."),
            (119, "Try again in 119 seconds."),
            (120, "Try again in 2 minutes."),
            (121, "Try again in 3 minutes."),
            (900, "Try again in 15 minutes."),
        ] {
            assert_eq!(EN.wait(seconds), text);
        }
        assert_eq!(DE.wait(15), "Versuchen Sie es in 15 Sekunden noch einmal.");
    }

    #[test]
    fn scopes_of_apis_are_shown_as_they_are_and_ours_in_words() {
        assert_eq!(EN.scope("openid", None), None);
        let line = |title, detail| Some(ScopeLine { title, detail });
        assert_eq!(ES.scope("phone", Some("not ours")), line("Ver tu número de teléfono", None));
        assert_eq!(DE.scope("email", None), line("Ihre E-Mail-Adresse sehen", Some("Und ob sie bestätigt ist")));
        assert_eq!(EN.scope("docs.read", Some("Read documents")), line("docs.read", Some("Read documents")));
        assert_eq!(EN.scope("docs.read", None), line("docs.read", None));
    }
}
