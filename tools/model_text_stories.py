"""Story templates of the text maker: one plot per name. Written for this project.

A plot is a list of beats separated by empty lines; one line of each beat is chosen. "[a|b]" chooses
inline, "{slot}" is filled from the story's cast and props, "{~slot}" takes a fresh entry of a bank.
"{a:slot}" puts "a" or "an" in front. Names ending in 2 belong to the friend, in 3 to the elder.
"""

PLOTS = {}

PLOTS["lost"] = """
{hero} had {a:thing}. {He} took it everywhere.
The thing {hero} loved most was {a:thing}. {He} had got it from {elder}.
{hero} owned only one treasure, {a:thing}. {He} kept it close by day and by night.

{time}, {hero} went to {spot} with {friend}. When {he} came home, the {thing} was gone.
{time}, {hero} looked for the {thing}, but it was not there.
{time}, {hero} played {inspot} until the sun went down. At home {he} saw that the {thing} was missing.
{time}, {hero} woke up and could not find the {thing} anywhere.

{he} was {feelbad}. "Where is my {thing}?" {he} asked.
{hero} began to cry. "I have lost my {thing}," {he} said.
{hero} felt {feelbad}. {He} looked in every room, but {he} found nothing.

{friend} heard about it and said, "Do not worry. We will look for it together."
"I will help you," said {friend}. "Four eyes see more than two."
{friend} came at once. "Let us think," said {friend}. "Where did you see it last?"

They looked [in the kitchen|near the well|on the road|in the yard], but it was not there. They looked [in the shed|by the gate|near the old tree|under the table], but it was not there either.
First they went back to {spot}. Then they asked {elder}, but {elder} had not seen it.
They searched for a long time. They found a coin, a button and an old shoe, but no {thing}.

At last {friend} looked {hiding}. There was the {thing}!
Then {hero} saw something {hiding}. It was the {thing}!
Just before dark, {friend} called, "Come here!" The {thing} was {hiding}.

{hero} was {feelgood}. "Thank you, {friend}," {he} said. "You are a true friend."
{hero} laughed and hugged {friend}. From that day on, {he} always put the {thing} in a safe place.
{hero} thanked {friend} with {snack}, and they walked home together.
"[Never give up|Good friends help each other|Looking twice is better than looking once]," said {friend}, and they both laughed.
"""

PLOTS["repair"] = """
In the middle of the town there was an old {machine}. Everyone needed it.
{elder} had an old {machine}. It had worked for [ten|twenty|thirty|forty] years.
There was an old {machine} {inspot}. {hero} liked to watch it every day.

{time}, the {machine} stopped. It did not {mverb} any more.
{time}, there was a loud noise, and the {machine} stopped. Nobody knew why.
{time}, the {machine} would not {mverb}. It only made a strange noise.

{elder} was {feelbad}. "We all need the {machine}," {he3} said. "It must {mwork} again."
People came and looked at it. "It is too old," they said. "Nobody can repair it."
"What shall we do?" asked {elder}. "I have no money for a new one."

{hero} wanted to help. {He} took {tool} and opened the {machine}.
"Let me try," said {hero}. {He} brought {tool} and a small lamp.
{hero} looked at the {machine} from all sides. Then {he} went home and got {tool}.

Inside, {he} found a broken {part}. That was the reason.
{he} worked slowly and looked at every part. At last {he} saw that the {part} was broken.
"I see the problem," said {hero}. "The {part} is [too loose|broken|full of dust|bent]."

{friend} brought a new {part}, and together they put it in.
{hero} cleaned the {part}, fixed it and put everything back in its place.
It was hard work. {friend} held the lamp while {hero} put in a new {part}.

Then {he} pushed the button. The {machine} began to {mwork} again!
{hero} counted to three and turned it on. The {machine} worked better than before.
Slowly, the {machine} began to {mverb}. Everybody clapped.

"You did it!" said {elder}. {hero} was {feelgood}.
{elder} smiled and gave {hero} {snack}. "You are a real engineer," {he3} said.
From then on, people brought all their broken things to {hero}.
{elder} thanked {him} and asked, "How did you do it?" "I just looked closely," said {hero}.
"""

PLOTS["weather"] = """
{day}, {hero} was on {his} way to {spot}. {wstart}.
{day}, {hero} wanted to visit {friend}. {wstart}.
{day}, {hero} went home from {spot}. {wstart}.

{wmore}. Soon {hero} was [cold|tired|lost|cold and tired].
{wmore}. "I must find a safe place," thought {hero}.
{wmore}. {hero} could not go on.

{he} saw [a small hut|an old barn|a little cave|a warm house] near the road and ran to it.
Not far away there was [a light in a window|an open door|a big tree|a small shop]. {hero} walked toward it.

Inside was {elder}. "Come in," said {elder}. "You can wait here."
{elder} opened the door. "Oh dear," {he3} said. "Sit down by the fire and have some tea."
There {he} met {elder}, who was waiting for the weather to change too.

{elder} told {him} a story about [the sea|a brave robot|a long journey|the stars], and the time went by quickly.
They ate {snack} and sang old songs until the weather was better.
They played a game with small stones. {elder} won twice and {hero} won once.

After an hour, the sky was clear and the air was fresh.
When they looked out again, the sun was shining.
In the evening, the weather was calm, and the first stars came out.

{hero} thanked {elder} and went home with a warm heart.
"Come again," said {elder}. "Not only in bad weather!" {hero} promised to come back.
{hero} walked home and thought, "[Bad weather can bring good friends|Every storm ends|It is good to have a roof and a friend]."
"""

PLOTS["newcomer"] = """
{time}, {someone2} came to live near {hero}. {His2} name was {friend}.
{time}, {hero} saw {someone2} sitting alone {inspot}. It was {friend}.
A new family moved to the town. {time}, {hero} met {friend} {inspot}.

{friend} was shy and did not speak to anyone.
{friend} looked at the ground. {He2} did not know anybody there.
{friend} wanted to play with the others, but {he2} was too shy to ask.

{hero} thought about it. Then {he} walked over and said, "Hello! My name is {hero}. What is your name?"
{hero} smiled at {him2}. "Would you like to play with me?" {he} asked.
{hero} had {snack} in {his} bag. {He} gave half of it to {friend}.

"{friend}," {he2} said quietly. "I do not know anyone here."
"Thank you," said {friend}, and for the first time {he2} smiled.
At first {friend} said nothing. Then {he2} nodded slowly.

They [flew a kite|built a tower of stones|looked at the clouds|played with a ball|made a boat out of paper] and talked until evening.
{hero} showed {him2} {spot}, and {friend} told {him} about the sea.
They found out that they both loved [music|stars|old machines|rain|stories|maps].

The next day, {friend} was waiting at the gate. "Can we play again?" {he2} asked.
The next morning, {friend} knocked on the door. {He2} had brought {a:thing} as a gift.

From that day on, they were best friends.
Soon they did everything together, and {friend} was never lonely again.
"It only takes one kind word to make a friend," said {elder}, who had seen it all.
"""

PLOTS["garden"] = """
{time}, {elder} gave {hero} a tiny seed. "Take good care of it," said {elder}.
{time}, {hero} found a small seed {inspot}. "I wonder what it will be," {he} said.
{hero} wanted to have a garden. {time}, {he} bought one seed at the market.

{hero} dug a hole, put the seed in the ground and gave it some water.
{he} planted it behind the house, where the sun was warm.
{hero} put the seed in a pot and set the pot by the window.

Every day {he} looked at it, but nothing happened.
{he} waited one day, two days, three days. Nothing came up.
A week went by, and there was still only brown earth.

"Maybe it is asleep," said {friend}. "You must be patient," said {elder}.
{hero} was {feelbad}. "It will never grow," {he} said. "Give it time," said {friend}.
"Plants need water, light and time," said {elder}.

So {hero} gave it water every morning. Then, after a warm rain, a little green leaf came up.
{hero} did not give up. One morning, {he} saw a tiny green point in the earth.

The plant grew and grew. By summer it was a beautiful {plant}.
It grew taller every week. At last everyone could see what it was. It was {a:plant}!

{hero} was {feelgood}. {He} showed it to everybody in the street.
It looked so {pcolor} and bright in the sun that people stopped to look at it.
{hero} saved the new seeds and gave one to each of {his} friends.
"Good things take time," said {elder}, and {hero} knew that it was true.
"""

PLOTS["journey"] = """
{hero} had always wanted to see {sight}. {elder} had told {him} about it.
In an old book, {hero} read about {sight}. {He} wanted to see it with {his} own eyes.
"Have you ever seen {sight}?" asked {friend}. "No," said {hero}, "but I would like to."

{time}, {he} packed some bread, a bottle of water and {a:thing}, and set out with {friend}.
{time}, {hero} and {friend} put on their boots and started to walk.
So {time:l}, {hero} said goodbye to {elder} and left with {friend}.

They walked through [a forest|green fields|a long valley|many small villages]. Birds sang, and the road was easy.
The road was long, but they sang songs and told jokes.
For two days they followed [the river|the old road|the railway|the stars].

Then they came to {obstacle}. {oproblem}
In the afternoon, they had to stop. In front of them was {obstacle}. {oproblem}

"We must go back," said {friend}. "No," said {hero}. "I have an idea."
{friend} was {feelbad}, but {hero} sat down and began to think.

They {osolve}. It took a long time, but it worked.
Together they {osolve}. "Well done!" said {friend}.

At last they reached {sight}. {sdetail:u}.
In the evening they came to {sight}, and {sdetail}.

They sat down, ate {snack} and did not say a word for a long time.
"It was worth every step," said {hero}, and {friend} agreed.
"Tomorrow we will go home," said {hero}, "but I will never forget this day."
When they came home, they told everyone about it, and nobody wanted to go to bed.
"""

PLOTS["rescue"] = """
{time}, {hero} was walking {inspot} when {he} heard a small cry.
{time}, {hero} and {friend} were playing {inspot}. Suddenly they heard a strange sound.
{time}, on the way to {spot}, {hero} stopped. "Listen," {he} said. "Somebody needs help."

It was a little {pet}. It was stuck {stuck} and could not get out.
A {pet} was caught {stuck}. It was shaking with fear.
{he} looked around and saw a {pet} {stuck}.

"Do not be afraid," said {hero}. "I will help you."
{hero} tried to reach it, but it was too far away.
"Poor thing," said {hero}. "How can we get it out?"

{he} ran home and came back with {helptool}.
{friend} had an idea. "We need {helptool}," {he2} said, and ran to get it.
{elder} came by and saw them. "You will need {helptool}," said {elder}.

Very slowly and carefully, {hero} used it to bring the {pet} out.
{friend} held on tight, and {hero} reached out with {helptool}. Now the {pet} was free!
With {helptool} it was easy. Soon the {pet} was safe.

The {pet} was hungry, so {hero} gave it some [milk|water|bread|seeds].
The {pet} looked at {him} with big eyes, as if to say thank you.
{hero} took the {pet} home and gave it a warm place to sleep.

From that day on, the {pet} followed {him} everywhere.
{hero} was {feelgood} because {he} had helped someone small.
The {pet} and {hero} became friends, and they are still friends today.
"You were very brave," said {elder}, and {hero} smiled.
"""

PLOTS["cooking"] = """
{time}, {hero} wanted to make {food} for {friend}.
{time}, {elder} said, "Let us make {food} today." {hero} jumped up and washed {his} hands.
It was {friend}'s birthday. {hero} wanted to surprise {him2} with {food}.

{he} put a big bowl on the table and looked for everything {he} needed.
{hero} opened the old cookbook and read the page twice.

But there {were} no {ingredient} in the house.
Then {he} saw that the {ingredient} {were} all gone.
"Oh no," {he} said. "We have no {ingredient}!"

So {he} went to {elder2} and asked, "May I have some {ingredient}, please?" "Of course," said {elder2}.
{hero} ran to the market and bought some {ingredient} with {his} last coin.
"I have some {ingredient} at home," said {elder2}, and went to get a big bag.

Then {hero} mixed everything together and put it [on the stove|over the fire|in the oven]. Soon the whole house smelled wonderful.
{he} cut, mixed and stirred. There was flour on {his} nose and on the floor.
{he} stirred it for a long time and watched the fire.

When it was ready, everyone sat down at the table.
At noon, the {food} was ready. It looked a little strange, but it tasted very good.

"This is the best {food} in the world," said {friend}.
They ate until nothing was left. Even the [cat|dog|bird] got a small piece.
{hero} was {feelgood}. "Food tastes better when you share it," {he} said.
{friend} asked for more, and {hero} laughed. "Next time, you will cook for me," {he} said.
"""

PLOTS["skill"] = """
{hero} could not {skill}. All {his} friends could, but {he} could not.
More than anything, {hero} wanted to {skill}.
{time}, {hero} saw {friend} {skilling}. "I want to learn that too," {he} said.

The first time {he} tried, it went wrong, and some children laughed.
{he} was afraid of {skillthing}. "I will never learn it," {he} said.
{he} tried once, twice and three times, but it was too hard.

{hero} was {feelbad} and wanted to stop.
{hero} sat down {inspot} and did not want to talk to anybody.

"Nobody can do it on the first day," said {elder}. "Try a little every day."
"I needed a whole year to learn it," said {friend}. "Come, I will show you."
"When I was young, I fell down a hundred times," said {elder}. "And I got up a hundred and one times."

So {hero} practiced every morning before school.
Day after day, {hero} practiced {skilling} with {friend}. It got a little better each time.
{hero} tried again and again. {He} made many mistakes, but {he} learned from each of them.

Then, {time:l}, something wonderful happened. {hero} {skilled}!
After many weeks, {hero} took a deep breath and tried once more. This time {he} {skilled}.

Everybody clapped, and {elder} clapped the loudest.
"I can do it!" called {hero}. {He} was {feelgood}.
{hero} smiled. Now {he} knew that [practice makes hard things easy|small steps lead far|it is good to keep trying].
"""
