"""Makes the training text: short stories, descriptions, sums and questions in plain English.

Everything is drawn from our own templates (model_text_stories.py, model_text_more.py) and word
banks (model_text_words.py) by a seeded generator, so the corpus is a function of its seed.
"""

import random
import re

import model_text_more as more
import model_text_stories as stories
import model_text_words as words

END = "<|endoftext|>"
TURN = "<|im_start|>"
TURN_END = "<|im_end|>"

PRONOUNS = {"she": ("she", "her", "her"), "he": ("he", "him", "his")}
MASS = {"flour", "butter", "salt", "sugar", "yeast", "honey", "cream", "cheese", "milk"}
OWN_START = {"robot"}  # plots that introduce their hero themselves


def parse_plots():
    """Plot name to a list of beats, each a list of alternative lines."""
    plots = {}
    for name, text in {**stories.PLOTS, **more.PLOTS}.items():
        beats = [beat.strip().split("\n") for beat in text.strip().split("\n\n")]
        plots[name] = beats
    return plots


PLOTS = parse_plots()
DESCRIPTIONS = more.DESCRIPTIONS.strip().split("\n")
QUESTIONS = [
    [part.strip() for part in line.split("|")] for line in more.QUESTIONS.strip().split("\n")
]

OPENINGS = [
    "Once upon a time there was {a:kind} named {hero}. {He} lived in {town}.",
    "Once upon a time, in {town}, there lived {a:kind} named {hero}.",
    "Once upon a time, {a:kind} named {hero} lived in {town}.",
    "In {town} there lived {a:kind}. {His} name was {hero}.",
    "There was once {a:kind} named {hero} who lived in {town}.",
    "{hero} was {a:kind} who lived in {town}.",
    "Long ago, {a:kind} named {hero} lived in {town}.",
    "This is the story of {hero}, {a:kind} from {town}.",
]
FRIENDS = [
    "{His} best friend was {a:kind2} named {friend}.",
    "{He} had a good friend, {a:kind2} named {friend}.",
    "Next door lived {friend}, {a:kind2}.",
]
REQUESTS = [
    "Tell me a story about {a:kind}.", "Tell me a story about {a:kind} named {hero}.",
    "Please tell me a short story about {hero}.", "Write a story about {a:kind} and {a:kind2}.",
    "Can you tell me a story?", "Tell me a story, please.", "I would like to hear a story.",
]
SYSTEMS = ["You are a friendly storyteller.", "You are a small and helpful robot.",
           "You answer in short and simple sentences."]


def cast(rng):
    """Slots of the people of one story and of what belongs to them."""
    names = "hero kind p1 friend kind2 p2 elder p3 town thing robot".split()
    slots = dict(zip(names, rng.choice(words.CASTS)), elder2=words.ELDER2)
    for suffix, key in (("", "p1"), ("2", "p2"), ("3", "p3")):
        for slot, form in zip(("he", "him", "his"), PRONOUNS[slots[key]]):
            slots[slot + suffix] = form
            slots[slot.capitalize() + suffix] = form.capitalize()
    slots["someone2"] = article(slots["kind2"])
    return slots


def props(rng):
    """Slots of the things and places of one story; words that belong together come together."""
    slots = {}

    def put(names, entry):
        slots.update(zip(names.split(), entry))

    put("spot inspot", rng.choice(words.SPOTS))
    slots["spot2"] = rng.choice([spot for spot, _ in words.SPOTS if spot != slots["spot"]])
    put("machine mverb mwork part", rng.choice(words.MACHINES))
    put("wname wstart wmore", rng.choice(words.WEATHER))
    put("plant pcolor", rng.choice(words.PLANTS))
    put("sight sdetail", rng.choice(words.SIGHTS))
    put("obstacle oproblem osolve", rng.choice(words.OBSTACLES))
    put("pet stuck", rng.choice(words.TRAPPED))
    put("skill skilling skillthing skilled", rng.choice(words.SKILLS))
    put("noise source", rng.choice(words.NOISES))
    put("job jobthing", rng.choice(words.JOBS))
    verb, rest = slots["job"].split(" ", 1)
    slots["jobnow"] = words.JOB_VERBS[verb] + " " + rest
    slots["helptool"] = words.RESCUE[slots["pet"]]
    slots["food"] = rng.choice(words.FOODS)
    slots["ingredient"] = rng.choice(words.INGREDIENTS[slots["food"]])
    slots["were"] = "was" if slots["ingredient"] in MASS else "were"
    slots["num"], slots["num2"] = rng.sample(words.NUMBERS[2:], 2)
    singles = {"hiding": words.HIDING, "tool": words.TOOLS, "gift": words.GIFTS,
               "color": words.COLORS, "robotnoun": words.ROBOT_NOUNS}
    for name, bank in singles.items():
        slots[name] = rng.choice(bank)
    return slots


FRESH = {"time": words.TIMES, "day": words.DAYS, "snack": words.SNACKS,
         "feelgood": words.FEEL_GOOD, "feelbad": words.FEEL_BAD}


def article(noun):
    """The noun with "a" or "an"."""
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun


def fill(rng, line, slots):
    """One template line with its choices made and its slots filled, sentences capitalised."""
    line = re.sub(r"\[([^\]]*)\]", lambda match: rng.choice(match.group(1).split("|")), line)

    def value(match):
        mark, name, form = match.group(1), match.group(2), match.group(3)
        text = rng.choice(FRESH[name]) if name in FRESH else slots[name]
        if mark == "a:":
            return article(text)
        if form == ":l":
            return text[0].lower() + text[1:]
        return text[0].upper() + text[1:] if form == ":u" else text

    line = re.sub(r"\{(a:)?(\w+)(:[lu])?\}", value, line)
    return re.sub(r"(^|[.!?] )([a-z])", lambda match: match.group(1) + match.group(2).upper(), line)


def story(rng, name=None, slots=None):
    """One whole story."""
    name = name or rng.choice(sorted(PLOTS))
    slots = slots or {**cast(rng), **props(rng)}
    parts = []
    if name not in OWN_START and rng.random() < 0.85:
        parts.append(fill(rng, rng.choice(OPENINGS), slots))
        if name != "newcomer":
            parts.append(fill(rng, rng.choice(FRIENDS), slots))
    parts += [fill(rng, rng.choice(beat), slots) for beat in PLOTS[name]]
    if rng.random() < 0.3:
        middle = len(parts) // 2
        return " ".join(parts[:middle]) + "\n\n" + " ".join(parts[middle:])
    return " ".join(parts)


def description(rng):
    """One short text that is not a story."""
    return fill(rng, rng.choice(DESCRIPTIONS), {**cast(rng), **props(rng)})


def sums(rng):
    """A small sum, in words or in digits."""
    one, two = rng.randint(1, 6), rng.randint(1, 6)
    total = one + two
    say = words.NUMBERS
    slots = cast(rng)
    thing = rng.choice(words.COUNTED)
    form = rng.randrange(4)
    if form == 0:
        return f"{one} + {two} = {total}"
    if form == 1:
        return f"{say[one].capitalize()} plus {say[two]} is {say[total]}."
    if form == 2:
        first = thing[:-1] if one == 1 else thing
        text = f"{{hero}} has {say[one]} {first}. {{friend}} gives {{him}} {say[two]} more. "
        return fill(rng, text + f"Now {{he}} has {say[total]} {thing}.", slots)
    return "We count: " + ", ".join(say[1 : max(total, 3) + 1]) + "."


def question(rng):
    """A question and its answer."""
    if rng.random() < 0.15:
        one, two = rng.randint(1, 6), rng.randint(1, 6)
        say = words.NUMBERS
        answer = f"{say[one].capitalize()} plus {say[two]} is {say[one + two]}."
        return f"What is {say[one]} plus {say[two]}?", answer
    entry = rng.choice(QUESTIONS)
    return entry[0], rng.choice(entry[1:])


def dialogue(rng):
    """A conversation in ChatML."""
    text = ""
    if rng.random() < 0.3:
        text += f"{TURN}system\n{rng.choice(SYSTEMS)}{TURN_END}\n"
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if rng.random() < 0.35:
            name = rng.choice(sorted(set(PLOTS) - OWN_START))
            slots = {**cast(rng), **props(rng)}
            asked = fill(rng, rng.choice(REQUESTS), slots)
            answer = story(rng, name, slots)
        else:
            asked, answer = question(rng)
        text += f"{TURN}user\n{asked}{TURN_END}\n{TURN}assistant\n{answer}{TURN_END}\n"
    return text.rstrip("\n")


def document(rng):
    """One document of the corpus."""
    kind = rng.choices(["story", "description", "dialogue", "question", "sum"],
                       [66, 12, 16, 4, 2])[0]
    if kind == "story":
        return story(rng)
    if kind == "description":
        return description(rng)
    if kind == "dialogue":
        return dialogue(rng)
    if kind == "question":
        asked, answer = question(rng)
        return f"Question: {asked}\nAnswer: {answer}"
    return sums(rng)


def corpus(seed, count):
    """`count` documents made from a seed."""
    rng = random.Random(seed)
    return [document(rng) for _ in range(count)]


if __name__ == "__main__":
    print(("\n" + END + "\n").join(corpus(1, 20)))
