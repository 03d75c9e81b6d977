"""Texts that were read in a wrong encoding once or twice, whole or in part, and clean ones -> mojibake.json: [{"text", "cleaned"}], cleaned as WanPipeline's
prompt_clean does: ftfy.fix_text, html.unescape twice, white space collapsed. Needs ftfy alone."""

import html
import json
import random
import re
from pathlib import Path

import ftfy
import ftfy.bad_codecs  # registers the sloppy encodings

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden"  # common.py's, which needs PyTorch

SENTENCES = """it’s a café in München, “très joli” – isn’t it? £5 or €7 ½ price…
Ein großer Bär läuft über die Brücke, „schön“ – für 5 €
Un château près de la forêt, à côté d’une rivière où l’eau coule; « bientôt »
El niño comió una manzana; ¿dónde está la montaña? ¡Qué rápido!
La città è più bella di sera, perché c’è la luna; però…
Uma maçã vermelha não é um limão, São Paulo à noite
En röd stuga vid sjön, åäö ÅÄÖ, smørrebrød, Æsa og Þórður
Zażółć gęślą jaźń, łódź, ŻÓŁW ŚWIĘTO
Příliš žluťoučký kůň úpěl ďábelské ódy
Árvíztűrő tükörfúrógép, kőszívű
Ștefan și Ioana mănâncă pâine, țară
İstanbul’da güneşli bir gün, ığdır şehri
Mākoņi virs jūras, ģimene, ķēde; ąžuolas, ėjimas
Красная панда сидит на снегу и смотрит на «горы» – вкусно
Київ вночі, їжак, ґанок
Ένα κόκκινο σπίτι δίπλα στη θάλασσα, ΑΘΗΝΑ
一只红色的熊猫坐在雪地里，“好看”。
赤い家が海のそばにあります。カタカナ
눈 위에 앉아 있는 붉은 판다
قط أحمر يجلس في الثلج
חתול אדום יושב בשלג
एक लाल पांडा बर्फ में बैठा है
ಹಿಮದಲ್ಲಿ ಕುಳಿತಿರುವ ಕೆಂಪು ಪಾಂಡಾ
Một con gấu trúc đỏ ngồi trên tuyết
👍🏽 ok 🏳️‍🌈 ❤️ ☃ ★
(╯°□°)╯︵ ┻━┻ ¯\\_(ツ)_/¯ ಠ_ಠ
±3.5 µm × 10² ÷ ≈ √2 ∞ ≠ ≤ ½ § 5 ¶ 30°C №5
voilà le travail, à quelle heure, à la carte
Œuvre œuf cœur, SŒUR; price: €100 £20 ¥3000 ¢5
plain ASCII, nothing else""".split("\n")

PAGES = ["latin-1", "windows-1252", "macroman", "cp437", "iso-8859-2", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250",
         "sloppy-windows-1253", "sloppy-windows-1254", "sloppy-windows-1257"]

ODD = ["P&EACUTE;REZ &HELLIP; &SZLIG; &nTILDE; &AMP; &gt;", "&#59; &CounterClockwiseContourIntegral; &eacute;", "â€œ like this â€\ufffd", "Ã©\ufffd a\x85b \x1aÃ©", "voilÃ  le travail, Ã quelle heure",
       "Ã a b", "schÃ¶n <b>&eacute;</b>\nÃ©&eacute;", "\xed\xa0\xbd\xed\xb8\x80 \xc0\x80"]


def prompt_clean(text):
    return re.sub(r"\s+", " ", html.unescape(html.unescape(ftfy.fix_text(text))).strip()).strip()


def misread(text, page, errors="strict"):
    try:
        return text.encode("utf-8").decode(page, errors)
    except UnicodeDecodeError:
        return text


def main():
    rng, texts = random.Random(0), [*SENTENCES, *ODD]
    for sentence in SENTENCES:
        once = [misread(sentence, page, rng.choice(["strict", "replace", "ignore"])) for page in PAGES]
        texts += rng.sample(once, 5)
        texts.append(misread(rng.choice(once), rng.choice(PAGES)))
        texts.append(rng.choice(once) + rng.choice([" ", "\n", ", "]) + rng.choice(SENTENCES))
        texts.append(rng.choice(once).replace("\xa0", " "))
    rows = [{"text": text, "cleaned": prompt_clean(text)} for text in dict.fromkeys(texts) if "\0" not in text]
    (FOLDER / "mojibake.json").write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows) + "\n]\n")
    print(f"mojibake: {len(rows)} texts, {sum(row['cleaned'] != ' '.join(row['text'].split()) for row in rows)} of them changed")


if __name__ == "__main__":
    main()
