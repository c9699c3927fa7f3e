"""What the messages say. The same for all contenders, and the same in every run."""

from __future__ import annotations

import functools
import os
import random
from pathlib import Path

from .tools import BUILD

TEXT, BINARY = 1, 2

ENGLISH = [
    "The ropeway climbs from the valley station at eight hundred metres to the ridge.",
    "Tickets are sold at the counter; children under six ride free, and dogs need a muzzle.",
    "In strong wind the operator stops the line (please have some patience), then starts again.",
    '"Mind the gap!" says the sign, which nobody has read since 1987. Next departure: 14:35.',
]

LANGUAGES = [
    *ENGLISH,
    "Die Seilbahn fährt täglich von acht bis achtzehn Uhr; mittags fällt jede zweite Fahrt aus.",
    "Le téléphérique relie la vallée à la crête en onze minutes. Ça vaut bien un détour, non ?",
    "Канатная дорога работает ежедневно, кроме понедельника. Последний спуск в шесть вечера.",
    "Το τελεφερίκ λειτουργεί κάθε μέρα· το εισιτήριο κοστίζει δώδεκα ευρώ και πενήντα λεπτά.",
    "يعمل التلفريك كل يوم من الثامنة صباحا حتى السادسة مساء، ويتوقف عند هبوب الرياح القوية.",
    "रोपवे हर दिन सुबह आठ बजे से शाम छह बजे तक चलता है। टिकट खिड़की पर मिलते हैं।",
    "索道每天早上八点开始运行，下午六点停止。大风天气暂停运营，请耐心等待。",
    "ロープウェイは毎日八時から十八時まで運行しています。強風のときは運休します。",
    "케이블카는 매일 오전 여덟 시부터 오후 여섯 시까지 운행합니다. 강풍 시 중단됩니다.",
    "กระเช้าลอยฟ้าเปิดให้บริการทุกวัน ตั้งแต่แปดโมงเช้าถึงหกโมงเย็น",
    "Great view today 🏔️🚡 — see you at the top 👋🏽😀 🎉🎉",
]


@functools.cache
def payload_file(kind: str, size: int, count: int) -> Path:
    """Return a file of payloads, one after the other.

    Args:
        kind: ``short`` (numbered), ``binary``, ``ascii`` or ``mixed`` (ten languages and emoji).
        size: of each payload, in bytes.
        count: how many.
    """
    generator = random.Random(f"{kind} {size} {count}")
    payloads = [make(kind, size, number, generator) for number in range(count)]
    assert {len(payload) for payload in payloads} == {size}
    path = BUILD / "payloads" / f"{kind}-{size}-{count}"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(b"".join(payloads))
    unfinished.rename(path)
    return path


def make(kind: str, size: int, number: int, generator: random.Random) -> bytes:
    if kind == "short":
        return f"message {number} ".encode().ljust(size, b".")
    if kind == "binary":
        return generator.randbytes(size)
    sentences = [one.encode() for one in (ENGLISH if kind == "ascii" else LANGUAGES)]
    text = bytearray()
    while len(text) < size:
        text += generator.choice(sentences) + b" "
    # Cut between characters; spaces fill up what the last one leaves.
    return bytes(text[:size]).decode(errors="ignore").encode().ljust(size)
