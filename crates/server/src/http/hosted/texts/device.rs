//! What the pages say on which somebody signs in a device that shows a code.

use super::{Around, Text};

texts! {
    /// The texts of devices.
    Device;

    title: Text = "Sign in a device", "Iniciar sesión en un dispositivo", "Gerät anmelden";
    lead: Text = "Type the code that the device shows.",
        "Escribe el código que muestra el dispositivo.",
        "Geben Sie den Code ein, den das Gerät anzeigt.";
    compare: Text = "Compare the code with the one that the device shows, then go on.",
        "Compara el código con el que muestra el dispositivo y continúa.",
        "Vergleichen Sie den Code mit dem, den das Gerät anzeigt, und fahren Sie dann fort.";
    code: Text = "Code", "Código", "Code";
    hint: Text = "Eight letters, as in BCDF-GHJK",
        "Ocho letras, como en BCDF-GHJK",
        "Acht Buchstaben, etwa BCDF-GHJK";
    missing: Text = "Type the code.", "Escribe el código.", "Geben Sie den Code ein.";
    unknown: Text = "No device waits with this code. Check it, or have the device show another.",
        "Ningún dispositivo espera con este código. Revísalo o haz que el dispositivo muestre otro.",
        "Mit diesem Code wartet kein Gerät. Prüfen Sie ihn oder lassen Sie das Gerät einen anderen anzeigen.";
    gone: Text = "The device does not wait with this code any more, or somebody else has opened it. Have the device show another.",
        "El dispositivo ya no espera con este código, o alguien más lo ha abierto. Haz que el dispositivo muestre otro.",
        "Das Gerät wartet nicht mehr mit diesem Code, oder jemand anders hat ihn geöffnet. Lassen Sie das Gerät einen anderen \
         anzeigen.";
    see: Text = "Do you see this code on your device?",
        "¿Ves este código en tu dispositivo?",
        "Sehen Sie diesen Code auf Ihrem Gerät?";
    wants: Around = ["", " wants to be signed in as you."],
        ["", " quiere iniciar sesión en tu nombre."],
        ["", " möchte in Ihrem Namen angemeldet werden."];
    asked: Text = "Asked", "Solicitado", "Angefragt";
    just_now: Text = "Less than a minute ago", "Hace menos de un minuto", "Vor weniger als einer Minute";
    minute_ago: Text = "1 minute ago", "Hace 1 minuto", "Vor 1 Minute";
    minutes_ago: Around = ["", " minutes ago"], ["Hace ", " minutos"], ["Vor ", " Minuten"];
    from: Text = "From", "Desde", "Von";
    about: Text = "(about)", "(aproximadamente)", "(ungefähr)";
    unknown_place: Text = "Not known", "Desconocido", "Nicht bekannt";
    warning: Text = "Only go on if the device is in front of you now.",
        "Continúa solo si tienes el dispositivo delante ahora mismo.",
        "Fahren Sie nur fort, wenn Sie das Gerät gerade vor sich haben.";
    nobody_asks: Around = ["Nobody of ", " will ever send you a code or ask for one."],
        ["Nadie de ", " te enviará ni te pedirá nunca un código."],
        ["Niemand von ", " schickt Ihnen je einen Code oder fragt danach."];
    not_mine: Text = "It is not mine", "No es mío", "Nicht meins";
    sign_in: Text = "Sign it in", "Iniciar sesión", "Anmelden";
    done: Text = "The device is signed in", "El dispositivo ha iniciado sesión", "Das Gerät ist angemeldet";
    done_lead: Text = "It goes on by itself in a few seconds. You can close this page.",
        "Continúa por sí solo en unos segundos. Puedes cerrar esta página.",
        "Es geht dort in einigen Sekunden von selbst weiter. Sie können diese Seite schließen.";
    refused: Text = "The device is not signed in",
        "El dispositivo no ha iniciado sesión",
        "Das Gerät ist nicht angemeldet";
    refused_lead: Text = "Whoever has it gets nothing of your account. You can close this page.",
        "Quien lo tenga no recibe nada de tu cuenta. Puedes cerrar esta página.",
        "Wer es hat, bekommt nichts von Ihrem Konto. Sie können diese Seite schließen.";
}
