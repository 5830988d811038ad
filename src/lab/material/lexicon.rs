//! Word lists. Honest people and campaigns draw from the same world, so a word alone tells nothing.

use super::grammar::Rules;

/// People, things and places that any text may be about.
pub(super) const WORLD: &Rules = &[
    (
        "who",
        &[
            "Amara", "Bogdan", "Chiara", "Dae-jung", "Elif", "Farid", "Greta", "Hiroshi", "Ines",
            "Jomo", "Katya", "Lwazi", "Mei", "Nadia", "Otto", "Priya", "Quentin", "Rosa", "Sana",
            "Tomasz", "Uma", "Viktor", "Wanjiru", "Yusuf",
        ],
    ),
    (
        "thing",
        &[
            "crates of oranges",
            "bus tickets",
            "solar panels",
            "library books",
            "beehives",
            "spare tyres",
            "concert seats",
            "clay pots",
            "bicycles",
            "data cables",
            "rain barrels",
            "notebooks",
            "lamps",
            "train wagons",
            "seedlings",
            "blankets",
        ],
    ),
    (
        "place",
        &[
            "a harbour warehouse",
            "the village school",
            "a night market",
            "the repair shop",
            "a mountain hut",
            "the town archive",
            "a film set",
            "the bakery on the corner",
            "a greenhouse",
            "the ferry terminal",
            "a small museum",
            "the weather station",
        ],
    ),
    (
        "field",
        &[
            "soil chemistry",
            "contract law",
            "bridge design",
            "choral music",
            "tide forecasting",
            "bread baking",
            "queueing theory",
            "medieval trade",
            "bird migration",
            "type design",
            "vaccine logistics",
            "chess endings",
            "glacier physics",
            "public transport",
            "colour theory",
            "beekeeping",
        ],
    ),
    (
        "quality",
        &[
            "patient", "noisy", "frugal", "brittle", "generous", "uneven", "modest", "hasty",
            "thorough", "seasonal", "remote", "elastic",
        ],
    ),
    ("language", &["Rust", "Python", "Go", "TypeScript", "Kotlin", "Swift", "Ruby", "Elixir"]),
    (
        "structure",
        &[
            "linked list",
            "ring buffer",
            "priority queue",
            "trie",
            "bloom filter",
            "interval tree",
            "sparse matrix",
            "job graph",
            "LRU cache",
            "hash ring",
            "event log",
            "rope",
        ],
    ),
    (
        "operation",
        &[
            "merges overlapping ranges",
            "finds the longest cycle",
            "removes duplicates in order",
            "rebalances after a delete",
            "streams results page by page",
            "counts inversions",
            "detects a missing sequence number",
            "rotates it by k places",
            "diffs two versions",
            "keeps the ten largest",
            "parses a duration such as 2h30m",
            "groups rows by week",
        ],
    ),
    (
        "problem",
        &[
            "{who} keeps {n} {thing} in {place} and sells {n} of them every {day}; after how many days \
         are fewer than {n} left?",
            "At {place}, {n} {thing} cost {N} coins together. {who} buys {n} and gets {n} percent off. \
         What does {who} pay?",
            "{who} and {who} share {N} {thing} in the ratio {n} to {n}. {who} then gives away {n}. How \
         many remain with each?",
            "A cart leaves {place} at {n} km per day, {who} follows {n} hours later at {n} km per day. \
         When do they meet?",
            "In {place} every shelf holds {n} {thing}. {who} fills {n} shelves and breaks {n} items. \
         How many are whole?",
            "{who} draws {n} {thing} from {N} at random without putting any back. What is the chance \
         that {who} never sees a {quality} one?",
        ],
    ),
    ("day", &["Monday", "market day", "second day", "week", "working day", "full moon"]),
    (
        "coding",
        &[
            "Write a {language} function for a {structure} that {operation}, in at most {n} lines.",
            "A {structure} in {language} holds {N} entries and {operation}. Give its worst case.",
            "Turn a recursive {structure} that {operation} into an iterative one in {language}.",
            "Design the tests for a {language} {structure} that {operation} for up to {N} items.",
        ],
    ),
    (
        "question",
        &[
            "Why is {field} so {quality} near {place}?",
            "Compare {field} with {field} for somebody who runs {place}.",
            "What would {who} have to measure to call a case of {field} {quality}?",
            "Which three mistakes in {field} cost {place} the most, and why {n} years later?",
        ],
    ),
    ("task", &["{problem}", "{coding}", "{question}"]),
    (
        "code",
        &[
            "fn total(items: &[u32]) -> u32 { items.iter().map(|i| i * {n}).sum() }",
            "def load(path):\n    rows = open(path).read().split('\\n')\n    return rows[{n}:]",
            "for (let i = 0; i <= items.length; i++) { total += items[i].price * {n}; }",
            "select who, count(*) from loans where day > {n} group by who having count(*) > {n};",
            "func next(q []int) int { v := q[0]; q = q[1:]; return v + {n} }",
        ],
    ),
    (
        "error",
        &[
            "index out of range: the len is {n} but the index is {N}",
            "TypeError: unsupported operand for {n} and None",
            "deadlock after {N} iterations",
            "expected {n} rows, found {N}",
            "borrow of a moved value on line {n}",
            "the test hangs about every {n} runs",
        ],
    ),
];

/// What people say to an assistant, by language.
pub(super) const CHAT: &[&Rules] = &[
    &[
        (
            "chat",
            &[
                "I have {n} guests coming to {place} and only {n} euros. What can I cook?",
                "Explain {field} as if I were {n} years old, please.",
                "My neighbour {who} is too {quality} about my {thing}. How do I bring it up?",
                "Plan {n} days around {place} for two people who like {field}.",
                "Write a short toast for {who}, who has worked in {field} for {n} years.",
                "Is it normal that my {thing} feel {quality} in winter?",
                "{question}",
            ],
        ),
        (
            "more",
            &[
                "Could you make that shorter?",
                "And what if {who} can't come?",
                "Thanks. How much would it cost for {n} people?",
                "Is that still true in winter?",
                "Give me one example with {thing}.",
                "Why {quality}? I thought the opposite.",
            ],
        ),
    ],
    &[
        (
            "chat",
            &[
                "我想在{n}天内学会一点{zh}，应该从哪里开始？",
                "请帮我给{zhwho}写一封关于{zh}的感谢信。",
                "{zhwho}说{zh}很难，真的吗？请用简单的话解释。",
                "周末带{n}个孩子出门，预算{N}元，有什么建议？",
                "{zh}和{zh}有什么区别？我在一家小店工作。",
                "怎么跟{zhwho}说我不想再管{zh}了？",
            ],
        ),
        (
            "more",
            &[
                "能再短一点吗？",
                "如果只有{n}块钱呢？",
                "谢谢，请再举一个例子。",
                "{zhwho}会同意吗？",
            ],
        ),
        (
            "zh",
            &["书法", "种菜", "摄影", "会计", "围棋", "修自行车", "做面包", "天文", "游泳", "木工"],
        ),
        ("zhwho", &["小林", "王老师", "我的邻居", "李阿姨", "新同事", "房东"]),
    ],
    &[
        (
            "chat",
            &[
                "Comment expliquer {fr} à un enfant de {n} ans ?",
                "Écris un petit mot pour {who}, qui quitte {frplace} après {n} ans.",
                "J'ai {n} invités et {N} euros : que faire à manger sans four ?",
                "Quelle différence entre {fr} et {fr} pour quelqu'un qui tient {frplace} ?",
                "Mon voisin se plaint de {fr}. Comment lui répondre poliment ?",
            ],
        ),
        ("more", &["Plus court, s'il te plaît.", "Et avec {n} personnes ?", "Merci, un exemple ?"]),
        (
            "fr",
            &["la marée", "le compost", "la comptabilité", "le solfège", "la météo", "la reliure"],
        ),
        ("frplace", &["une librairie", "la mairie", "un café", "l'atelier", "une petite ferme"]),
    ],
    &[
        (
            "chat",
            &[
                "Wie erkläre ich {de} jemandem, der erst {n} Jahre alt ist?",
                "Schreib einen Gruß an {who} zum {n}. Dienstjahr in der {deplace}.",
                "Ich habe {n} Gäste und {N} Euro. Was koche ich?",
                "Was ist der Unterschied zwischen {de} und {de}?",
            ],
        ),
        ("more", &["Kürzer bitte.", "Und für {n} Leute?", "Danke, noch ein Beispiel?"]),
        ("de", &["Ebbe und Flut", "Kompost", "Buchhaltung", "Zwölftonmusik", "Wärmepumpen"]),
        ("deplace", &["Bücherei", "Werkstatt", "Gärtnerei", "Feuerwehr"]),
    ],
    &[
        (
            "chat",
            &[
                "¿Cómo le explico {es} a una niña de {n} años?",
                "Necesito un mensaje para {who}, que deja {esplace} después de {n} años.",
                "Tengo {n} invitados y {N} pesos. ¿Qué cocino?",
                "¿Por qué {es} cuesta tanto en {esplace}?",
            ],
        ),
        ("more", &["Más corto, por favor.", "¿Y para {n} personas?", "Gracias, ¿otro ejemplo?"]),
        ("es", &["la marea", "el compost", "la contabilidad", "el ajedrez", "la cerámica"]),
        ("esplace", &["la biblioteca", "el taller", "una granja", "el puerto"]),
    ],
];
