//! What the pages say with which somebody finds, opens or confirms an account.

use super::{Around, Both, Text};

texts! {
    /// The texts of links that were mailed, of a forgotten password, and of a new account.
    Account;

    accept_invitation: Text = "Accept your invitation", "Acepta tu invitación", "Einladung annehmen";
    accept_lead: Text = "Choose a password for your account. Then you can sign in.",
        "Elige una contraseña para tu cuenta. Después puedes iniciar sesión.",
        "Wählen Sie ein Passwort für Ihr Konto. Danach können Sie sich anmelden.";
    reset: Text = "Set another password", "Establece otra contraseña", "Neues Passwort festlegen";
    reset_lead: Text = "It takes the place of the one so far, and signs you out on all devices.",
        "Sustituye a la anterior y cierra la sesión en todos los dispositivos.",
        "Es ersetzt das bisherige und meldet Sie auf allen Geräten ab.";
    reset_done: Text = "Done. You can sign in with the new password. You have been signed out everywhere.",
        "Listo. Puedes iniciar sesión con la contraseña nueva. La sesión se ha cerrado en todas partes.",
        "Fertig. Sie können sich mit dem neuen Passwort anmelden. Sie wurden überall abgemeldet.";
    confirm_address: Text = "Confirm your e-mail address", "Confirma tu correo electrónico", "E-Mail-Adresse bestätigen";
    confirm_lead: Text = "With this you say that the mailbox is yours.",
        "Con esto confirmas que el buzón es tuyo.",
        "Damit bestätigen Sie, dass das Postfach Ihnen gehört.";
    confirm_done: Text = "Done. The address is confirmed.",
        "Listo. La dirección está confirmada.",
        "Fertig. Die Adresse ist bestätigt.";
    confirm: Text = "Confirm the address", "Confirmar la dirección", "Adresse bestätigen";
    new_password: Text = "New password", "Contraseña nueva", "Neues Passwort";
    same_again: Text = "The same again", "La misma otra vez", "Noch einmal dasselbe";
    password_hint: Around =
        ["At least ", " characters. A few unrelated words are easy to remember and hard to guess."],
        ["Al menos ", " caracteres. Unas pocas palabras sin relación se recuerdan bien y son difíciles de adivinar."],
        ["Mindestens ", " Zeichen. Ein paar Wörter ohne Zusammenhang sind leicht zu merken und schwer zu erraten."];
    set_password: Text = "Set the password", "Guardar la contraseña", "Passwort festlegen";
    may_sign_in: Around = ["Done. You can sign in as ", "."],
        ["Listo. Puedes iniciar sesión como ", "."],
        ["Fertig. Sie können sich als ", " anmelden."];
    next: Text = "If an application sent you to sign in, go back to its tab. It waits for an hour.",
        "Si una aplicación te pidió iniciar sesión, vuelve a su pestaña. Espera una hora.",
        "Wenn eine Anwendung Sie zur Anmeldung geschickt hat, kehren Sie zu deren Tab zurück. Er wartet eine Stunde.";
    needs_script: Text =
        "This page needs JavaScript: the secret of the link never reaches the server's logs, because only your browser \
         reads it.",
        "Esta página necesita JavaScript: el secreto del enlace nunca llega a los registros del servidor, porque solo lo \
         lee tu navegador.",
        "Diese Seite braucht JavaScript: Das Geheimnis des Links kommt nie in die Protokolle des Servers, weil nur Ihr \
         Browser es liest.";

    incomplete: Text = "This link is not complete. Open it exactly as you were given it.",
        "Este enlace no está completo. Ábrelo exactamente como lo recibiste.",
        "Dieser Link ist nicht vollständig. Öffnen Sie ihn genau so, wie Sie ihn bekommen haben.";
    stale_invitation: Text =
        "This invitation does not work any more: it was used, withdrawn or is too old. Whoever sent it can send another.",
        "Esta invitación ya no funciona: se ha usado, se ha retirado o es demasiado antigua. Quien la envió puede \
         enviar otra.",
        "Diese Einladung gilt nicht mehr: Sie wurde benutzt, zurückgezogen oder ist zu alt. Wer sie geschickt hat, kann \
         eine neue schicken.";
    stale_reset: Text = "This link does not work any more: it was used already, or it is older than an hour.",
        "Este enlace ya no funciona: se ha usado o tiene más de una hora.",
        "Dieser Link gilt nicht mehr: Er wurde schon benutzt oder ist älter als eine Stunde.";
    stale_address: Text =
        "This link does not work any more: it was used, another was sent after it, or it is older than a day.",
        "Este enlace ya no funciona: se ha usado, se envió otro después o tiene más de un día.",
        "Dieser Link gilt nicht mehr: Er wurde benutzt, danach wurde ein anderer geschickt, oder er ist älter als ein \
         Tag.";
    send_another: Text = "Send another link", "Enviar otro enlace", "Neuen Link senden";
    differ: Text = "The two passwords differ.",
        "Las dos contraseñas no coinciden.",
        "Die beiden Passwörter sind verschieden.";
    moment: Text = "One moment…", "Un momento…", "Einen Moment…";
    unreachable: Text = "The server cannot be reached. Nothing was changed. Try again.",
        "No se puede conectar con el servidor. No se ha cambiado nada. Vuelve a intentarlo.",
        "Der Server ist nicht erreichbar. Es wurde nichts geändert. Versuchen Sie es noch einmal.";
    overloaded: Text = "There is too much to do here right now. Nothing was changed. Try again in a few seconds.",
        "Ahora mismo hay demasiada actividad. No se ha cambiado nada. Vuelve a intentarlo dentro de unos segundos.",
        "Hier ist gerade zu viel zu tun. Es wurde nichts geändert. Versuchen Sie es in einigen Sekunden noch einmal.";
    not_possible: Text = "That is not possible for this account now. Ask the people who run this service.",
        "Ahora no es posible con esta cuenta. Pregunta a quienes administran este servicio.",
        "Das ist für dieses Konto jetzt nicht möglich. Fragen Sie, wer diesen Dienst betreibt.";
    too_short: Around = ["The password needs at least ", " characters."],
        ["La contraseña necesita al menos ", " caracteres."],
        ["Das Passwort braucht mindestens ", " Zeichen."];
    too_weak: Text =
        "The password is too easy to guess. Names, common words, dates and repetitions are what others try first.",
        "La contraseña es demasiado fácil de adivinar. Nombres, palabras corrientes, fechas y repeticiones es lo primero \
         que se prueba.",
        "Das Passwort ist zu leicht zu erraten. Namen, häufige Wörter, Daten und Wiederholungen werden zuerst probiert.";
    too_long: Text = "The password is too long.", "La contraseña es demasiado larga.", "Das Passwort ist zu lang.";

    forgotten: Text = "Forgotten password?", "¿Contraseña olvidada?", "Passwort vergessen?";
    forgot_lead: Text = "A link is sent to the address of your account. It works once, for an hour.",
        "Se envía un enlace a la dirección de tu cuenta. Funciona una vez, durante una hora.",
        "An die Adresse Ihres Kontos geht ein Link. Er gilt einmal, eine Stunde lang.";
    address: Text = "E-mail address", "Correo electrónico", "E-Mail-Adresse";
    missing_address: Text = "Enter the e-mail address.",
        "Escribe el correo electrónico.",
        "Geben Sie die E-Mail-Adresse ein.";
    no_address: Text = "This is not an e-mail address. One looks like name@example.com.",
        "Esto no es un correo electrónico. Uno tiene la forma nombre@example.com.",
        "Das ist keine E-Mail-Adresse. Eine sieht aus wie name@example.com.";
    send: Text = "Send the link", "Enviar el enlace", "Link senden";
    sent: Text = "Look into your mailbox", "Mira tu buzón", "Sehen Sie in Ihr Postfach";
    sent_lead: Text = "If there is an account with this address, a mail is on its way. The link in it works once, for an hour.",
        "Si hay una cuenta con esta dirección, un mensaje va de camino. Su enlace funciona una vez, durante una hora.",
        "Wenn es ein Konto mit dieser Adresse gibt, ist eine Nachricht unterwegs. Der Link darin gilt einmal, eine Stunde \
         lang.";
    sent_next: Text = "When the password is set, come back here and sign in.",
        "Cuando la contraseña esté guardada, vuelve aquí e inicia sesión.",
        "Wenn das Passwort festgelegt ist, kehren Sie hierher zurück und melden Sie sich an.";
    sent_elsewhere: Text = "When the password is set, sign in where you wanted to.",
        "Cuando la contraseña esté guardada, inicia sesión donde querías.",
        "Wenn das Passwort festgelegt ist, melden Sie sich dort an, wo Sie wollten.";
    back: Text = "Back to signing in", "Volver a iniciar sesión", "Zurück zur Anmeldung";

    create: Text = "Create an account", "Crear una cuenta", "Konto anlegen";
    username: Text = "User name", "Usuario", "Benutzername";
    missing_username: Text = "Enter a user name.", "Escribe un usuario.", "Geben Sie einen Benutzernamen ein.";
    no_username: Text =
        "A user name has at most 50 characters: letters a to z, digits and . _ + -, first a letter or digit.",
        "Un usuario tiene 50 caracteres como máximo: letras de la a a la z, cifras y . _ + -, primero una letra o cifra.",
        "Ein Benutzername hat höchstens 50 Zeichen: Buchstaben a bis z, Ziffern und . _ + -, zuerst ein Buchstabe oder \
         eine Ziffer.";
    missing_password: Text = "Enter a password.", "Escribe una contraseña.", "Geben Sie ein Passwort ein.";
    taken: Text = "The user name or the address is taken. Choose another, or sign in.",
        "El usuario o la dirección ya están en uso. Elige otro o inicia sesión.",
        "Benutzername oder Adresse sind vergeben. Wählen Sie andere, oder melden Sie sich an.";
    full: Text = "No more accounts can be created here. Ask the people who run this service.",
        "Aquí no se pueden crear más cuentas. Pregunta a quienes administran este servicio.",
        "Hier können keine weiteren Konten angelegt werden. Fragen Sie, wer diesen Dienst betreibt.";
    closed: Text = "Accounts are not created here by oneself. Ask the people who run this service.",
        "Aquí nadie crea su propia cuenta. Pregunta a quienes administran este servicio.",
        "Hier legt niemand selbst ein Konto an. Fragen Sie, wer diesen Dienst betreibt.";
    created: Both = ["The account is there", "Go on and sign in with it."],
        ["La cuenta está creada", "Continúa e inicia sesión con ella."],
        ["Das Konto ist angelegt", "Melden Sie sich jetzt damit an."];
    created_lead: Text = "The account is there. Open the link in the mail that was just sent, then sign in here.",
        "La cuenta está creada. Abre el enlace del mensaje que se acaba de enviar y después inicia sesión aquí.",
        "Das Konto ist angelegt. Öffnen Sie den Link in der eben gesendeten Nachricht und melden Sie sich dann hier an.";

    not_found: Both = ["Not found", "There is nothing at this address."],
        ["No encontrado", "No hay nada en esta dirección."],
        ["Nicht gefunden", "Unter dieser Adresse gibt es nichts."];
    unreadable: Text = "What the browser sent cannot be read here. Nothing was changed.",
        "Lo que ha enviado el navegador no se puede leer aquí. No se ha cambiado nada.",
        "Was der Browser gesendet hat, ist hier nicht lesbar. Es wurde nichts geändert.";
}
