"""Word banks of the text maker: who, where, what and when. Written for this project.

Every bank is a list; a template slot named like the bank takes one entry (see model_text.py).
"""

# Who lives with whom: hero, kind, pronoun; friend, kind, pronoun; elder, pronoun; town; the hero's
# dearest thing; the robot of the place. A small model keeps its people apart only if they are steady.
CASTS = [
    ("Lily", "little girl", "she", "Tom", "boy", "he", "Grandma Rose", "she",
     "a small village by the sea", "red kite", "Bolt"),
    ("Max", "little boy", "he", "Anna", "girl", "she", "Mr. Hill", "he",
     "a town with a tall clock", "old map", "Tik"),
    ("Mia", "young girl", "she", "Rusty", "clever fox", "he", "Miss Wood", "she",
     "a cottage beside the river", "silver key", "Dot"),
    ("Ben", "young boy", "he", "Ruth", "little girl", "she", "Captain Gray", "he",
     "a white house at the harbor", "wooden boat", "Nova"),
    ("Pip", "little mouse", "he", "Hazel", "brave squirrel", "she", "Mrs. Brown", "she",
     "a wooden house in the forest", "little drum", "Echo"),
    ("Nora", "girl", "she", "José", "boy", "he", "Doctor Lane", "she",
     "a quiet town near the mountains", "warm scarf", "Pixel"),
    ("Leo", "boy", "he", "Ella", "little girl", "she", "Mr. Baker", "he",
     "a big city", "music box", "Chip"),
    ("Zoë", "young girl", "she", "Sam", "young boy", "he", "Mrs. Field", "she",
     "a farmhouse at the edge of the forest", "yellow hat", "Gizmo"),
    ("Bruno", "young bear", "he", "Daisy", "small duck", "she", "the old woman", "she",
     "a green valley", "red lantern", "Turbo"),
    ("Ada", "little girl", "she", "Omar", "little boy", "he", "Mr. Stone", "he",
     "a village under a tall mountain", "brass compass", "Sprocket"),
    ("Coco", "curious rabbit", "she", "Teddy", "little hedgehog", "he", "the old man", "he",
     "a little house on a hill", "paper star", "Spark"),
    ("Finn", "boy", "he", "Misty", "small cat", "she", "the old sailor", "he",
     "a lighthouse on a rocky island", "small bell", "Comet"),
]
ELDER2 = "the shopkeeper"
ROBOT_NOUNS = ["robot", "small robot", "blue robot", "old robot", "friendly robot"]

SPOTS = [
    ("the park", "in the park"), ("the forest", "in the forest"), ("the beach", "on the beach"),
    ("the market", "at the market"), ("the river", "by the river"), ("the garden", "in the garden"),
    ("the old mill", "at the old mill"), ("the lake", "at the lake"), ("the hill", "on the hill"),
    ("the harbor", "at the harbor"), ("the library", "in the library"),
    ("the station", "at the station"), ("the meadow", "in the meadow"),
]
HIDING = [
    "under the bed", "behind the door", "under a pile of leaves", "inside an old box",
    "beside the fence", "in the tall grass", "under a bench", "behind a big stone",
    "between two books", "at the bottom of a basket", "in a bird's nest", "under the stairs",
]
FOODS = [
    "apple pie", "vegetable soup", "chocolate cake", "fresh bread", "berry jam", "pumpkin soup",
    "honey cake", "potato stew", "cheese bread", "lemon cake",
]
INGREDIENTS = {
    "apple pie": ["apples", "flour", "butter"], "vegetable soup": ["carrots", "salt", "onions"],
    "chocolate cake": ["eggs", "sugar", "flour"], "fresh bread": ["flour", "yeast", "salt"],
    "berry jam": ["berries", "sugar", "lemons"], "pumpkin soup": ["cream", "onions", "salt"],
    "honey cake": ["honey", "eggs", "butter"], "potato stew": ["potatoes", "carrots", "onions"],
    "cheese bread": ["cheese", "flour", "milk"], "lemon cake": ["lemons", "eggs", "sugar"],
}
SNACKS = ["a red apple", "a piece of bread", "some cheese", "a warm bun", "a bowl of berries",
          "a sweet pear", "a slice of cake", "a handful of nuts"]
MACHINES = [
    ("clock", "ring", "tick", "spring"), ("windmill", "turn", "grind the corn", "wheel"),
    ("train", "move", "pull the cars", "wheel"), ("radio", "play", "play music", "wire"),
    ("lamp", "shine", "light the room", "wire"), ("water pump", "start", "bring up water", "pipe"),
    ("tractor", "start", "pull the plow", "belt"), ("bicycle", "roll", "roll down the road", "chain"),
    ("boat engine", "start", "push the boat", "belt"), ("telescope", "turn", "show the stars", "screw"),
    ("printer", "start", "print the news", "gear"), ("elevator", "move", "go up and down", "gear"),
]
TOOLS = ["a hammer", "a wrench", "a screwdriver", "a small knife", "a pair of pliers", "a small saw"]
TRAPPED = [
    ("kitten", "up in a tall tree"), ("bird", "in a thorny bush"), ("puppy", "in a deep hole"),
    ("lamb", "on a narrow ledge"), ("duckling", "in a muddy ditch"), ("squirrel", "in an old pipe"),
    ("mouse", "inside a glass jar"), ("calf", "in the deep mud"),
]
RESCUE = {
    "kitten": "a long ladder", "bird": "a pair of thick gloves", "puppy": "a strong rope",
    "lamb": "a strong rope", "duckling": "a small net", "squirrel": "a long stick",
    "mouse": "a piece of string", "calf": "a wide board",
}
PLANTS = [("sunflower", "yellow"), ("rose bush", "red"), ("apple tree", "green"),
          ("pumpkin", "orange"), ("tulip", "pink"), ("bean plant", "green"),
          ("strawberry plant", "red"), ("cherry tree", "white")]
SKILLS = [
    ("swim", "swimming", "the water", "swam across the pool"),
    ("ride a bike", "riding", "the bike", "rode all the way down the street"),
    ("play the piano", "playing", "the piano", "played a whole song"),
    ("whistle", "whistling", "the tune", "whistled a happy tune"),
    ("paint", "painting", "the brush", "painted a bright picture of the sea"),
    ("skate", "skating", "the ice", "skated around the whole pond"),
    ("read", "reading", "the long words", "read a whole book alone"),
    ("juggle", "juggling", "the balls", "juggled three balls at once"),
    ("bake", "baking", "the oven", "baked a perfect loaf of bread"),
    ("dance", "dancing", "the steps", "danced in front of the whole town"),
]
NOISES = [
    ("tapping", "a branch that the wind was pushing against the window"),
    ("scratching", "a hungry mouse behind the wall"),
    ("humming", "an old fridge in the kitchen"), ("dripping", "a tap that was not closed"),
    ("banging", "a loose door in the wind"), ("whistling", "the wind in the chimney"),
    ("rustling", "a hedgehog in the dry leaves"), ("ringing", "a small bell on a cat's collar"),
    ("creaking", "the old stairs getting cold"), ("splashing", "a frog in the garden pond"),
]
GIFTS = ["a small wooden horse", "a box of paints", "a new kite", "a warm sweater", "a music box",
         "a book about the stars", "a toy boat", "a wooden whistle", "a string of paper stars"]
SIGHTS = [
    ("the great waterfall", "the water shone like silver"),
    ("the top of the mountain", "the whole valley lay far below"),
    ("the sea", "the waves rolled softly on the sand"),
    ("the old castle", "flags moved on every tower"),
    ("the night market", "hundreds of lanterns were glowing"),
    ("the frozen lake", "the ice looked like blue glass"),
    ("the flower fields", "the flowers covered the hills with color"),
    ("the observatory", "the stars looked close enough to touch"),
]
OBSTACLES = [
    ("a wide river", "There was no bridge.", "built a raft out of old logs"),
    ("a tall gate", "It was locked.", "found a small path around it"),
    ("a dark tunnel", "It was too dark to see.", "lit a lantern and walked slowly"),
    ("a steep hill", "It was very slippery.", "tied a rope to a tree and climbed up"),
    ("a thick fog", "Nobody could see the road.", "followed the sound of the church bell"),
    ("a fallen tree", "It blocked the whole road.", "climbed over it one step at a time"),
    ("a broken bridge", "Some boards were missing.", "put new boards where the old ones had been"),
    ("a deep puddle", "It was as wide as the road.", "laid flat stones in it and stepped across"),
]
JOBS = [
    ("carried books in the library", "books"), ("watered the plants in the greenhouse", "plants"),
    ("cleaned the windows of the school", "windows"), ("sorted letters at the post office", "letters"),
    ("counted apples on a farm", "apples"), ("lit the lamps in the street", "lamps"),
    ("swept the floor of the train station", "floor"), ("carried boxes in a toy shop", "boxes"),
]
JOB_VERBS = {"carried": "carry", "watered": "water", "cleaned": "clean", "sorted": "sort",
             "counted": "count", "lit": "light", "swept": "sweep"}
WEATHER = [
    ("rain", "It was raining", "The rain fell on the roofs"),
    ("snow", "It was snowing", "White snow covered the road"),
    ("storm", "A storm was coming", "Thunder rolled over the hills"),
    ("wind", "A strong wind was blowing", "The wind pushed the trees"),
    ("fog", "Thick fog lay on the fields", "The fog hid the houses"),
]
TIMES = ["One day", "One morning", "One sunny morning", "One afternoon", "One cold evening",
         "One spring day", "One summer day", "One autumn day", "One winter morning",
         "Early one morning", "Late one evening", "On a bright Monday", "On a quiet Sunday"]
DAYS = ["One day", "One morning", "One afternoon", "One Monday", "One Friday", "One autumn day"]
FEEL_GOOD = ["happy", "glad", "proud", "very happy", "full of joy", "so happy"]
FEEL_BAD = ["sad", "worried", "upset", "very sad", "afraid", "tired and sad"]
COLORS = "red blue green yellow white black brown orange purple gray".split()
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
COUNTED = "apples birds books boats stars cups cookies balls flowers robots".split()
