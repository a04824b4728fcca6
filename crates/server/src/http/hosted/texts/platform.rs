//! What the pages say on which somebody signs in whose tenant is not known yet.

use super::Text;

texts! {
    /// The texts of the platform's own sign-in.
    Platform;

    address: Text = "E-mail address", "Correo electrónico", "E-Mail-Adresse";
    missing: Text = "Enter the e-mail address.", "Escribe el correo electrónico.", "Geben Sie die E-Mail-Adresse ein.";
    another: Text = "Use another address", "Usar otra dirección", "Andere Adresse verwenden";
    tenant: Text = "Organisation (optional)", "Organización (opcional)", "Organisation (optional)";
    hint: Text = "Its short name, if you have accounts in more than one, or sign in here for the first time",
        "Su nombre corto, si tienes cuentas en más de una o entras aquí por primera vez",
        "Ihr Kurzname, wenn Sie mehrere Konten haben oder sich hier zum ersten Mal anmelden";
    wrong: [Text; 2] = ["Address, password or organisation is wrong.", "Check them and try again."],
        ["La dirección, la contraseña o la organización no es correcta.", "Revísalas y vuelve a intentarlo."],
        ["Adresse, Passwort oder Organisation ist falsch.", "Prüfen Sie alles und versuchen Sie es noch einmal."];
}
