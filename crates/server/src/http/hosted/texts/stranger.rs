//! What the pages say of programs that nobody registered.

use super::{Around, Text};

texts! {
    /// The texts of such programs.
    Stranger;

    nobody_knows: Around = ["Nobody of ", " has checked this program. Its name is what it calls itself."],
        ["Nadie de ", " ha comprobado este programa. El nombre se lo ha puesto él mismo."],
        ["Niemand von ", " hat dieses Programm geprüft. Seinen Namen hat es sich selbst gegeben."];
    described_at: Text = "Published by", "Publicado por", "Veröffentlicht von";
    leads_to: Text = "You go back to", "Después vuelves a", "Danach geht es zurück zu";
    warning: Text =
        "Only go on if you have just started this program yourself: any program on this device could pretend to be it.",
        "Continúa solo si acabas de iniciar tú este programa: cualquier programa de este dispositivo podría hacerse pasar \
         por él.",
        "Fahren Sie nur fort, wenn Sie dieses Programm gerade selbst gestartet haben: Jedes Programm auf diesem Gerät \
         könnte sich dafür ausgeben.";
    unusable: Text =
        "The program that sent you here is not known here, and what it says of itself cannot be read. Nothing was sent to \
         it. Try again in a minute, or tell the people who make it.",
        "El programa que te ha enviado aquí no se conoce aquí, y no se puede leer lo que dice de sí mismo. No se le ha \
         enviado nada. Vuelve a intentarlo dentro de un minuto o avisa a quienes lo hacen.",
        "Das Programm, von dem Sie kommen, ist hier nicht bekannt, und was es über sich sagt, ist nicht lesbar. Es wurde \
         ihm nichts gesendet. Versuchen Sie es in einer Minute noch einmal, oder sagen Sie es denen, die es herstellen.";
    wrong: Text =
        "The program that sent you here is not known here, and asked in a way that is not taken. You are not sent back to \
         it. Tell the people who make it.",
        "El programa que te ha enviado aquí no se conoce aquí y lo que pide no se acepta. No se te envía de vuelta. Avisa \
         a quienes lo hacen.",
        "Das Programm, von dem Sie kommen, ist hier nicht bekannt und hat auf eine Weise gefragt, die nicht angenommen \
         wird. Sie werden nicht dorthin zurückgeschickt. Sagen Sie es denen, die es herstellen.";
}
