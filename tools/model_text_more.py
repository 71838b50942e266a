"""More plots, short descriptions, facts and questions of the text maker. Written for this project.

The notation is explained in model_text_stories.py.
"""

PLOTS = {}

PLOTS["noise"] = """
One night, {hero} woke up in the dark. There was a strange {noise} sound.
It was late, and {hero} was in bed. Suddenly {he} heard a {noise} sound.
{hero} could not sleep. Something in the house was making a {noise} sound.

"Is it a ghost?" {he} thought. {His} heart beat fast.
{he} pulled the blanket over {his} head and listened.
"Who is there?" {he} asked, but nobody answered.

{he} took a lamp and went down the stairs, one step at a time.
{hero} woke up {friend}, and together they went to see what it was.
After a while, {hero} felt brave enough to get up. {He} opened the door slowly.

They heard it again, louder this time. The house was very dark.
Then the sound came again, and {hero} held {his} breath.

{hero} held up the lamp and looked. It was only {source}!
Then {he} saw it. The sound came from {source}.
There was no ghost at all. It was {source}.

{hero} laughed out loud. "I was afraid of nothing," {he} said.
"What a silly thing to be afraid of," said {hero}, and went back to bed.
The next morning, {hero} told the story to {friend}, and they both laughed.

That night {he} slept very well.
After that, {hero} was never afraid of the dark again.
"When you know what it is, it is not scary," said {elder}.
"""

PLOTS["gift"] = """
It was {friend}'s birthday, and {hero} did not have a gift.
{time}, {hero} heard that {friend} would have a party on the next day.
Winter was near, and {hero} wanted to give something to {friend}.

{he} had only one coin. Everything in the shop cost more.
{hero} looked in every shop, but {he} had too little money.
"What can I give {him2}?" {hero} asked {elder}.

"The best gifts are made by hand," said {elder}.
"A gift does not need to be big," said {elder}. "It needs to come from the heart."
Then {hero} had an idea. "I will make something myself," {he} said.

So {hero} worked all day and made {gift}.
{hero} asked {elder} for help. Together they made {gift}.
{he} worked until late at night. In the morning, {gift} was ready.

The next day, {friend} opened the box and looked inside. {His2} eyes grew wide.
{hero} was a little afraid. Would {friend} like it?

"{gift:u}! I have always wanted one," said {friend}.
"It is the most beautiful thing I have ever seen," said {friend}.
"Did you make this for me?" asked {friend}. {hero} nodded.

{friend} was {feelgood}, and so was {hero}.
They sat together, ate {snack} and talked until the moon came up.
{hero} learned that giving is as nice as getting.
"""

PLOTS["robot"] = """
{robot} was {a:robotnoun}. Every day, it {job}.
The robot's name was {robot}. It {job}, and it never made a mistake.
In {town} there was {a:robotnoun} called {robot}. It {job}.
{robot} the robot {job}. It liked its work very much.
The robot was called {robot}. It {job} in {town}.
The robot woke up when the sun rose. Its name was {robot}, and it {job}.
The robot rolled down the street. Everybody knew it. It was {robot}, and it {job}.

People said, "Good morning, {robot}!" And {robot} answered, "Beep! Good morning!"
"Beep," it said every morning, and then it started to work.
The people liked {robot}, because it was always friendly.
At night it stood in a corner and looked at the stars through the window.

{time}, its battery was almost empty. The little light on its chest turned red. {hero} came by and asked, "What is wrong, {robot}?" "I have no power," said {robot}. {hero} ran home and brought [a new battery|a long cable]. Soon the robot was as good as new. "Thank you," said {robot}. "Now I understand what a friend is."
{time}, one of its wheels broke, and {robot} could not move. "Help!" it called. {hero} heard it and came at once. {He} looked at the wheel, took {tool} and repaired it. "Thank you, {hero}," said {robot}. "How can I help you?" "Just be my friend," said {hero}.
{time}, there was no power in {town}, and all the lamps went out. {hero} was afraid of the dark. Then {robot} came and turned on its own lamp. "Follow me," it said. Step by step, the robot brought {hero} home. "You are the best robot in the world," said {hero}.
{time}, {robot} saw that {hero} was sitting on a bench. {He} was {feelbad}. "I must help," thought {robot}. It sat down next to {him} and told {him} a joke about two magnets. {hero} laughed so loudly that the birds flew up. "Now I know why people laugh," said {robot}. "They laugh because they are not alone."
{time}, {robot} found {a:thing} on the road. "Somebody must be looking for it," it said. It went from door to door and asked everyone. At the last door stood {hero}. "That is my {thing}!" {he} said. {He} was {feelgood} and gave the robot a big hug.
{time}, a new and shiny robot came to the town. "Do they still need me?" asked {robot}. It was {feelbad}. But the new robot did not know the way, and it did not know the people. "Please help me," it said to {robot}. So they did the work together, and {hero} was happy to have two robot friends.

The robot's lights turned green. "That was a good day," it said.
From that day on, {hero} visited {robot} every [day|evening|Sunday|week].
And if you go there today, you can still see {robot} and {hero} side by side.
{robot} saved this day in its memory and never deleted it.
"""

PLOTS["quarrel"] = """
{hero} and {friend} were good friends, but {time:l} they had a quarrel about {a:thing}.
{time}, {hero} and {friend} found {a:thing} {inspot}.
{elder} had only one {thing}, and both {hero} and {friend} wanted it.

"It is mine!" said {hero}. "No, it is mine!" said {friend}.
"I saw it first," said {hero}. "But I picked it up," said {friend}.
They both pulled, and nobody wanted to let go.

Then the {thing} fell on the ground and broke. {friend} ran away.
There was a loud crack, and the {thing} broke. They both went home and shut the door.

Now {hero} had no {thing}, and {he} had nobody to play with.
Suddenly it was very quiet. They both felt {feelbad}.
{hero} could not sleep that night. {He} thought of {friend} all the time.

The next day, {hero} went to {friend} and said, "I am sorry."
"A thing is only a thing," said {elder}. "A friend is much more."
{elder} saw {him} and asked, "What is more important, the {thing} or your friend?"

So {hero} went to {friend}. "I am sorry too," said {friend}. "Let us share it."
When {hero} met {friend} again, they looked at each other, and then they both began to laugh.
{hero} took {friend}'s hand. "You can have it today," {he} said, "and I will have it tomorrow."

Together they fixed the {thing}, and it was better than before.
They repaired the {thing} and shared everything from then on, even the last piece of cake.
They fixed the {thing} with {a:color} ribbon. After that, they never had a quarrel again.
"""

PLOTS["race"] = """
Every year there was a big race from {spot} to {spot2}. {hero} wanted to win it.
{time}, there was a race from {spot} to {spot2}.
"Who is the fastest of us?" asked {friend}. "Let us have a race!" said {hero}.

{hero} trained every morning, in the sun and in the rain.
Everybody thought that {friend} would win, because {he2} was very fast.
{hero} was not very fast, but {he} never gave up.

"Three, two, one, go!" called {elder}, and they all started to run.
{elder} rang a bell, and the race began.

At first {friend} was in front. {hero} was far behind.
They ran over the bridge and around the tall tree. {hero} was second, and {friend} was first.

Then {friend} fell over a stone and hurt {his2} foot.
Suddenly {friend} took the wrong road and got lost.
Near the end, {friend} stopped, because {he2} could not breathe.

{hero} could have won, but {he} stopped to help.
"Go on, you will win!" said {friend}. "No," said {hero}. "We will finish together."
{hero} went to {him2} at once. "Take my hand," {he} said.

They crossed the line side by side, and everybody clapped.
They came in last, but the people clapped for them more than for the winner.

{elder} gave them both {snack}. "You are the real winners," {he3} said.
"It is good to win," said {hero}, "but it is better to have a friend."
{hero} was {feelgood}, even without the prize.
"""

PLOTS["night"] = """
[One night|One clear evening|On a warm summer night], {hero} and {friend} lay in the grass and looked at the sky.
{hero} loved the stars. [One night|One clear evening], {he} went up the hill with {friend} to look at the sky.
It was a clear night, and the moon was round and bright. {hero} and {friend} sat on the roof of the house.

"How many stars are there?" asked {friend}. "More than we can count," said {hero}.
"What is the moon made of?" asked {hero}. "It is made of rock," said {friend}.
{hero} asked, "Why do the stars shine?" "Because they are far away suns," said {friend}.

Suddenly a bright light crossed the sky. "A falling star!" called {hero}. "Make a wish," said {friend}. {hero} closed {his} eyes and made a wish. "What did you wish for?" asked {friend}. "I cannot tell you," said {hero} and smiled.
Then a cloud came, and the sky was dark. {hero} was a little afraid, but {friend} held {his} hand. "The stars are still there," {he2} said, "even when we cannot see them." After a while, the cloud moved on, and the stars were brighter than before.
Then they saw a small light between the trees. It moved slowly and came closer. They waited and did not say a word. It was {elder} with a lantern. "I have brought you some hot tea," {he3} said.
Then an owl flew over them without a sound. "Where is it going?" asked {friend}. "It is looking for its dinner," said {hero}. "The owl works at night and sleeps in the day."

They stayed until they were too tired to keep their eyes open.
That night, {hero} dreamed of a ship that sailed from star to star.
When {hero} went to bed, the moon was still shining through the window.
"""

PLOTS["sea"] = """
{day}, {hero} and {friend} sailed out of the harbor in a little boat with {a:color} sail.
{elder} had a small boat with {a:color} sail. {day}, {he3} gave it to {hero} and {friend}.
{hero} and {friend} had built a small boat. {day}, they took it out on the sea.

The water was calm, and the sun was warm. They saw [two dolphins|a big whale|many white birds|a silver fish].
The waves were small, and the wind was good. "Where shall we go?" asked {friend}. "To the island!" said {hero}.
They wanted to sail to the island and be back before dinner.

Then the wind grew stronger, and the waves grew higher. {hero} held the rope, and {friend} held on to {hero}. "We must stay calm and work together," said {hero}.
After an hour, thick fog came over the water, and they could not see the land. "What shall we do?" asked {friend}. {hero} thought hard.
Suddenly there was a hole in the boat, and water came in. {friend} took a bucket, and {hero} closed the hole with {his} coat.

Then {he} saw a light. It was the lighthouse! They turned the boat toward it.
They listened. Far away, a bell was ringing in the harbor, and they followed the sound.
{hero} waved {his} coat in the air, and a fisherman saw them. "Hold on!" he called, and pulled them with his big boat.

At last they reached the harbor. They were wet and cold, but they were safe.
In the evening they were back on the land. "You were lucky," said {elder}.

At home, {elder} made hot soup, and they told the story again and again.
"The sea is beautiful," said {hero}, "but you must respect it."
{hero} was tired and {feelgood}. "Tomorrow I will learn to [read the wind|swim better|use a compass]," {he} said.
"""

# Short texts that are not stories. One line is one text; the slots are as above.
DESCRIPTIONS = """
The robot is a machine. It can carry heavy things, and it does not get tired. When its battery is empty, it needs to rest at the charger.
The robot looked at the {color} door. It was closed. The robot knocked twice, waited and then went in.
In {town} there is a robot called {robot}. It can {jobnow}. The people like it because it is always friendly.
The {plant} stands in the garden of {elder}. In summer it is {pcolor}, and in winter it sleeps under the snow.
The old {machine} belongs to {elder}. When it works, it can {mwork}. When it does not, someone must look at the {part}.
The town is small, but it has everything: a school, a market, a library and a station. On Sundays it is very quiet.
The market opens early in the morning. {elder} sells {food}, and {elder2} sells flowers. By noon, everything is gone.
The river begins in the mountains. It runs through the forest and past the old mill, and at last it reaches the sea.
The lighthouse stands on a rock. Every night its light turns around and around, so that the ships can find the harbor.
The sun rises in the east and sets in the west. At noon it stands high in the sky, and the shadows are short.
The cat sat on the wall and watched the birds. It did not move. It only waited, and at last it fell asleep.
The train leaves the station at {num} o'clock. It stops in {num2} towns, and in the evening it reaches the sea.
In spring, the days grow longer and the birds come back. In summer, it is warm. In autumn, the leaves turn red. In winter, it snows.
{hero} lives in {town}. {He} gets up early, eats {snack} and walks to school with {friend}.
{hero} has a room with {a:color} wall. On the table there is {a:thing}, and at the window stands {a:plant}.
{elder} gets up before the sun. {He3} makes {food}, opens the door and waits for the first guests.
Today {hero} is happy, because the sun is shining and {friend} is coming to visit.
Today {hero} stays at home, because it is raining. {He} reads a book and drinks a cup of tea.
My name is {hero}. I live in {town}. My best friend is {friend}. We like to play {inspot}.
Dear {friend}, how are you? I am well. Yesterday I was {inspot} and found {a:thing}. Please come and see it soon. Your friend, {hero}
Dear {hero}, thank you for your letter and for {gift}. I was {feelgood} to get it. {elder} says hello too. I will visit you in the summer. Your friend, {friend}
To make {food}, you need {ingredient}, a big bowl and a little time. First mix everything. Then cook it slowly. At last, share it with a friend.
To plant {a:plant}, you need a seed, some earth and water. First dig a small hole. Then put in the seed. Give it water every day and wait.
To repair {a:machine}, you need {tool}. First turn it off. Then open it and look for the broken part. Put in a new part, and close it again.
The café at the corner belongs to {elder}. {hero} and {friend} often go there and eat {food}. It is a nice place to talk.
The weather today: [rain and wind|snow and ice|thick fog|a storm from the sea]. Stay at home if you can, and take a coat if you must go out. Tomorrow will be better.
Hello! My name is {robot}, and I am a small robot. I can {jobnow}. What can I do for you today?
A good engineer looks first, thinks second and turns the screw last. {elder} says this to {hero} every day.
The little dog ran across the road, jumped over the fence and brought {hero} {a:thing}. "Good dog!" said {hero}.
The dog waited at the door. When {hero} came home, it jumped up and was {feelgood}.
The bird built its nest in the {plant} near the window. Every morning it sang, and {hero} woke up with a smile.
The old man sat in front of his house and watched the boats. "Every boat has a story," he said.
The engineer took {tool} and opened the {machine}. "I see," she said. "The {part} is broken. We need a new one."
The moon rose over {spot}, and everything was quiet. Only an owl was awake.
The moon is far away, but on a clear night it looks close enough to touch.
The sea was calm in the morning. In the afternoon, the wind came up, and the fishermen sailed home.
The forest was dark and quiet. {hero} heard only the wind in the trees and {his} own steps.
The bridge is closed today because the river is too high. Please take the road by the old mill.
The library is open from {num} to {num2}. You can read there, or you can take the books home.
The machine has three parts: a motor, a {part} and a switch. If one of them is broken, it does not work.
The computer is a machine that can count and remember. It is fast, but it only does what people tell it to do.
The sky was gray, and the first drops began to fall. {hero} opened {his} umbrella and walked faster.
Yesterday I went to {spot} with {friend}. We ate {snack} and came home late. I was tired but {feelgood}.
Yesterday it rained all day, so I stayed at home and read a book about {sight}.
Tomorrow I will visit {elder}. We will make {food} together, and I will bring {gift}.
Every morning {hero} opens the window and looks at {spot}. Then {he} eats {snack} and starts the day.
Every Sunday, {hero} and {friend} meet {inspot}. They talk, they play, and they forget the time.
If it rains tomorrow, we will stay at home and make {food}. If the sun shines, we will go to {spot}.
When the bell rings, the children run out of the school. Some go home, and some go to {spot}.
When the wind is strong, the windmill turns fast. When there is no wind, it stands still.
When a lamp does not shine, first look at the wire. Then look at the switch. If both are good, you need a new bulb.
Because it was cold, {hero} put on a warm coat. Because it was dark, {he} took a lamp.
I like the {color} house best, because it has a big garden and {a:plant} beside the door.
I am {hero}. I am [six|seven|eight|nine|ten] years old, and I want to be [an engineer|a captain|a doctor|a baker] one day.
I have a friend named {friend}. {He2} is [kind|funny|brave|clever], and we do everything together.
My favorite place is {spot}. I go there when I am {feelbad}, and I come back {feelgood}.
My grandmother says that every storm ends. I think she is right.
We live in {town}. In summer we swim, and in winter we sit by the fire and tell stories.
We went to {spot} and looked for {a:thing}, but we found only {a:color} stone and an old shoe.
There is {a:machine} in the house of {elder}. It is old, but it still works, because {he3} takes good care of it.
Water is important. Plants, animals and people need it every day. Without water, nothing can grow.
People need food, water, sleep and friends.
Good tools make hard work easy. {elder} has {tool} that is older than {hero}.
It was a cold morning. {hero} saw {his} breath in the air and walked quickly to {spot}.
It is late. The lamps are off, the doors are closed, and the town is asleep.
A friend is someone who helps you when you are {feelbad} and laughs with you when you are glad.
"""

# question | answers, one of which is chosen. "%" stands for a story of the cast named in the question.
QUESTIONS = """
What is a robot? | A robot is a machine that can work by itself. | A robot is a machine. It can move, carry things and follow orders.
What is the moon made of? | The moon is made of rock. | It is made of rock and dust.
Why do stars shine? | Stars shine because they are very hot. They are far away suns.
Why is the ground wet? | The ground is wet because it has rained. | It rained, so the ground is wet.
Why does ice melt? | Ice melts because it gets warm. | When it is warm, ice turns into water.
What do plants need? | Plants need water, light and time. | They need light, water and good earth.
What do birds eat? | Birds eat seeds, berries and small insects. | Many birds eat seeds and insects.
What do bees make? | Bees make honey. | They fly from flower to flower and make honey.
Where does the sun rise? | The sun rises in the east. | It rises in the east and sets in the west.
Where do fish live? | Fish live in the water. | They live in rivers, in lakes and in the sea.
What color is the sky? | The sky is blue when the sun shines, and gray when it rains. | On a clear day, the sky is blue.
What color is snow? | Snow is white. | Fresh snow is white.
Why do ships need a lighthouse? | The light shows the ships the way to the harbor. | At night, ships cannot see the rocks. The light helps them.
Why do we sleep? | We sleep because our body needs to rest. | After a good sleep, we can think and work again.
What is a friend? | A friend is someone who helps you and laughs with you. | A friend is someone you can trust.
How many legs does a dog have? | A dog has four legs. | Four.
How many days are in a week? | There are seven days in a week. | Seven.
How many months are in a year? | There are twelve months in a year. | Twelve.
What comes after winter? | Spring comes after winter. | After winter comes spring.
What comes after summer? | Autumn comes after summer. | After summer comes autumn.
What is rain? | Rain is water that falls from the clouds. | Rain is water from the sky.
What is a library? | A library is a house full of books. | It is a place where you can read and borrow books.
What does a clock do? | A clock shows the time. | It shows what time it is.
What does a baker do? | A baker makes bread and cakes. | A baker gets up early and makes bread.
What does a farmer do? | A farmer works in the fields and takes care of animals. | A farmer grows our food.
What does a teacher do? | A teacher helps children to learn. | A teacher explains things and answers questions.
What does an engineer do? | An engineer builds and repairs machines. | An engineer finds out how things work and makes them better.
Who are you? | I am a small robot who tells stories. | I am a very small model. I can tell short stories.
What is your name? | My name is Strata Tiny. | I am Strata Tiny, a very small model.
How are you? | I am well, thank you. | Very well, thank you. And you?
Hello! | Hello! What can I do for you? | Hello! Nice to meet you.
Good morning! | Good morning! It is a beautiful day. | Good morning! How can I help you?
Thank you! | You are welcome. | It was a pleasure to help.
Goodbye! | Goodbye! Come back soon. | Goodbye, and have a nice day!
Can you help me? | Of course. What do you need? | Yes, I can try. What is the problem?
What is a train? | A train is a long machine that runs on rails. | A train carries people and things on rails.
Is the sun hot? | Yes, the sun is very hot. | Yes. The sun is a hot star.
Is ice cold? | Yes, ice is cold. | Yes. Ice is frozen water.
Can fish fly? | No, fish cannot fly. They swim. | No. Fish swim in the water.
Can birds fly? | Yes, most birds can fly. | Most birds can fly, but some cannot.
"""
