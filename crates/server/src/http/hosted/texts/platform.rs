//! What the pages say on which somebody signs in whose tenant is not known yet.

use super::{Around, Text};

texts! {
    /// The texts of the platform's own sign-in.
    Platform;

    address: Text = "E-mail address", "Correo electrónico", "E-Mail-Adresse";
    missing: Text = "Enter the e-mail address.", "Escribe el correo electrónico.", "Geben Sie die E-Mail-Adresse ein.";
    another: Text = "Use another address", "Usar otra dirección", "Andere Adresse verwenden";
    tenant: Text = "Short name of your organisation", "Nombre corto de tu organización", "Kurzname Ihrer Organisation";
    hint: Text = "Needed the first time that you sign in here, and if you have accounts in more than one organisation",
        "Hace falta la primera vez que entras aquí, y si tienes cuentas en más de una organización",
        "Nötig, wenn Sie sich hier zum ersten Mal anmelden oder Konten in mehreren Organisationen haben";
    still: Around = ["In this browser ", " is still signed in."],
        ["En este navegador sigue abierta la sesión de ", "."],
        ["In diesem Browser ist noch angemeldet: ", ""];
    wrong: [Text; 2] = ["Address, password or organisation is wrong.", "Check them and try again."],
        ["La dirección, la contraseña o la organización no es correcta.", "Revísalas y vuelve a intentarlo."],
        ["Adresse, Passwort oder Organisation ist falsch.", "Prüfen Sie alles und versuchen Sie es noch einmal."];
}
