/** The words that the demo data is made of. All invented: people, series and products that do not exist. */

/** Names of one language: as they are written, with a form for e-mail addresses after `/` where it differs. */
export interface NameGroup {
  readonly given: readonly string[];
  readonly family: readonly string[];
  /** True: the family name comes first. */
  readonly familyFirst?: boolean;
  /** What stands between the two. Default: a space. */
  readonly separator?: string;
}

export const nameGroups: readonly NameGroup[] = [
  {
    given: ["Amelia", "Oliver", "Harriet", "Noah", "Imogen"],
    family: ["Ashworth", "Bell", "Whitcombe", "O'Hara/ohara", "Sinclair"],
  },
  {
    given: ["Jürgen/juergen", "Sofie", "Käthe/kaethe", "Matthias", "Anneliese"],
    family: ["Müller/mueller", "Weiß/weiss", "Schröder/schroeder", "Vogt", "Lindner"],
  },
  {
    given: ["Zoé/zoe", "François/francois", "Maëlle/maelle", "Étienne/etienne", "Camille"],
    family: ["Lefèvre/lefevre", "Moreau", "d'Aubigné/daubigne", "Garnier", "Bénard/benard"],
  },
  {
    given: ["Lucía/lucia", "Íñigo/inigo", "Begoña/begona", "Álvaro/alvaro", "Marisol"],
    family: ["Núñez/nunez", "García/garcia", "Ibáñez/ibanez", "Castaño/castano", "Vega"],
  },
  {
    given: ["João/joao", "Beatriz", "Luís/luis", "Inês/ines", "Conceição/conceicao"],
    family: ["Gonçalves/goncalves", "Simões/simoes", "Araújo/araujo", "Tavares", "Falcão/falcao"],
  },
  {
    given: ["Łukasz/lukasz", "Małgorzata/malgorzata", "Zdzisław/zdzislaw", "Agnieszka", "Józef/jozef"],
    family: ["Wójcik/wojcik", "Dąbrowska/dabrowska", "Kaźmierczak/kazmierczak", "Zięba/zieba", "Nowak"],
  },
  {
    given: ["Astrid", "Björn/bjorn", "Åsa/asa", "Þórdís/thordis", "Søren/soren"],
    family: ["Lindqvist", "Ødegård/odegard", "Jónsdóttir/jonsdottir", "Nygård/nygard", "Bergström/bergstrom"],
  },
  {
    given: ["Ayşe/ayse", "Çağlar/caglar", "Gülşen/gulsen", "İbrahim/ibrahim", "Işıl/isil"],
    family: ["Yılmaz/yilmaz", "Öztürk/ozturk", "Şahin/sahin", "Koç/koc", "Aydın/aydin"],
  },
  {
    given: ["Αλέξανδρος/alexandros", "Ελένη/eleni", "Γιώργος/giorgos", "Κατερίνα/katerina"],
    family: ["Παπαδόπουλος/papadopoulos", "Νικολάου/nikolaou", "Οικονόμου/oikonomou", "Βασιλείου/vasileiou"],
  },
  {
    given: ["Анастасия/anastasia", "Дмитро/dmytro", "Олеся/olesya", "Фёдор/fyodor"],
    family: ["Коваленко/kovalenko", "Журавская/zhuravska", "Соловей/solovey", "Шевчук/shevchuk"],
  },
  {
    given: ["ليلى/layla", "يوسف/yousef", "فاطمة/fatima", "عمر/omar"],
    family: ["الحداد/alhaddad", "منصور/mansour", "الزهراني/alzahrani", "خليل/khalil"],
  },
  {
    given: ["נועה/noa", "איתי/itai", "תמר/tamar", "יונתן/yonatan"],
    family: ["לוי/levi", "מזרחי/mizrahi", "פרידמן/friedman", "שפירא/shapira"],
  },
  {
    given: ["अनन्या/ananya", "अर्जुन/arjun", "मीरा/meera", "रोहन/rohan"],
    family: ["शर्मा/sharma", "वर्मा/verma", "पटेल/patel", "अय्यर/iyer"],
  },
  {
    given: ["花子/hanako", "健太/kenta", "美咲/misaki", "翔/sho"],
    family: ["佐藤/sato", "山田/yamada", "渡辺/watanabe", "小林/kobayashi"],
    familyFirst: true,
  },
  {
    given: ["서연/seoyeon", "민준/minjun", "지우/jiwoo", "하은/haeun"],
    family: ["김/kim", "박/park", "최/choi", "정/jung"],
    familyFirst: true,
    separator: "",
  },
  {
    given: ["静怡/jingyi", "浩然/haoran", "欣妍/xinyan", "子轩/zixuan"],
    family: ["王/wang", "陈/chen", "欧阳/ouyang", "赵/zhao"],
    familyFirst: true,
    separator: "",
  },
  {
    given: ["Hương/huong", "Đức/duc", "Thảo/thao", "Quỳnh/quynh"],
    family: ["Nguyễn/nguyen", "Trần/tran", "Phạm/pham", "Đặng/dang"],
    familyFirst: true,
  },
  {
    given: ["Adébáyọ̀/adebayo", "Ṣadé/sade", "Olúwaṣeun/oluwaseun", "Títílayọ̀/titilayo"],
    family: ["Adéyẹmí/adeyemi", "Ògúnbíyì/ogunbiyi", "Bámgbóṣé/bamgbose", "Fálọlá/falola"],
  },
];

/** Mail hosts that belong to nobody (RFC 2606). */
export const mailHosts = ["example.com", "example.org", "example.net"] as const;

/** A category: what is sold there, each with its lowest and highest price in EUR, and what it can be like. */
export interface Category {
  readonly name: string;
  readonly things: readonly (readonly [name: string, minEur: number, maxEur: number])[];
  readonly finishes: readonly string[];
}

export const categories: readonly Category[] = [
  {
    name: "Kitchen",
    things: [
      ["chef's knife", 25, 140],
      ["cast-iron casserole", 60, 260],
      ["moka pot", 18, 55],
      ["mortar and pestle", 15, 60],
      ["crêpe pan", 20, 75],
      ["pepper mill", 12, 70],
      ["salad spinner", 14, 40],
      ["kitchen scale", 15, 60],
    ],
    finishes: ["matt black", "brushed steel", "olive wood", "crème", "copper"],
  },
  {
    name: "Tableware",
    things: [
      ["teapot", 22, 95],
      ["set of 6 bowls", 24, 110],
      ["espresso cups", 14, 48],
      ["serving platter", 18, 80],
      ["carafe", 16, 60],
      ["cutlery set", 45, 240],
      ["sake flask", 12, 44],
    ],
    finishes: ["celadon", "indigo", "sand", "moss green", "white with a blue rim"],
  },
  {
    name: "Lighting",
    things: [
      ["pendant lamp", 45, 320],
      ["desk lamp", 35, 180],
      ["floor lamp", 70, 390],
      ["string lights", 12, 40],
      ["night light", 9, 30],
      ["wall lamp", 30, 160],
      ["lantern", 18, 75],
    ],
    finishes: ["opal glass", "brass", "rice paper", "smoked glass", "powder white"],
  },
  {
    name: "Furniture",
    things: [
      ["armchair", 190, 900],
      ["side table", 60, 310],
      ["bookcase", 120, 640],
      ["stool", 45, 180],
      ["bench", 90, 420],
      ["coat stand", 50, 190],
      ["writing desk", 180, 860],
    ],
    finishes: ["oak", "ash, soaped", "walnut", "bouclé, ivory", "black-stained beech"],
  },
  {
    name: "Textiles",
    things: [
      ["linen tablecloth", 30, 120],
      ["wool throw", 40, 180],
      ["bath towel", 12, 45],
      ["cushion cover", 10, 48],
      ["rug, 170 × 240 cm", 120, 780],
      ["duvet cover", 45, 190],
      ["tea towel, 2 pieces", 8, 26],
    ],
    finishes: ["natural", "terracotta", "night blue", "herringbone", "undyed"],
  },
  {
    name: "Garden",
    things: [
      ["watering can", 15, 65],
      ["secateurs", 18, 80],
      ["raised bed", 60, 240],
      ["bird bath", 25, 110],
      ["hammock", 40, 170],
      ["plant labels, 20 pieces", 5, 16],
      ["fire bowl", 70, 290],
    ],
    finishes: ["zinc", "corten steel", "larch", "fern green", "terracotta"],
  },
  {
    name: "Stationery",
    things: [
      ["notebook, A5", 6, 28],
      ["fountain pen", 18, 190],
      ["ink, 30 ml", 7, 24],
      ["pencil set", 9, 40],
      ["desk calendar", 10, 32],
      ["washi tape, 5 rolls", 6, 18],
      ["letter opener", 9, 45],
    ],
    finishes: ["dot grid", "vermilion", "Prussian blue", "kraft", "sakura"],
  },
  {
    name: "Audio",
    things: [
      ["headphones", 49, 420],
      ["bookshelf speakers", 120, 890],
      ["turntable", 160, 980],
      ["radio", 40, 210],
      ["microphone", 45, 320],
      ["speaker cable, 3 m", 12, 60],
    ],
    finishes: ["graphite", "cherry", "silver", "walnut", "midnight"],
  },
  {
    name: "Outdoor",
    things: [
      ["tent for 2", 110, 620],
      ["sleeping bag", 60, 390],
      ["rucksack, 30 l", 55, 210],
      ["head torch", 20, 95],
      ["insulated bottle, 0.75 l", 18, 48],
      ["camping stove", 30, 140],
      ["dry bag", 10, 42],
    ],
    finishes: ["lichen", "signal orange", "slate", "ochre", "glacier blue"],
  },
  {
    name: "Toys",
    things: [
      ["marble run", 25, 120],
      ["wooden train", 18, 85],
      ["jigsaw, 1,000 pieces", 12, 34],
      ["kite", 14, 60],
      ["spinning top", 5, 20],
      ["stacking tower", 12, 38],
      ["board game", 18, 65],
    ],
    finishes: ["rainbow", "beech", "pastel", "big set", "travel size"],
  },
  {
    name: "Épicerie",
    things: [
      ["olive oil, 500 ml", 9, 38],
      ["green tea, 100 g", 6, 42],
      ["dark chocolate, 70 %", 3, 9],
      ["jalapeño salsa", 4, 9],
      ["honey, 250 g", 5, 19],
      ["smörgås crackers", 3, 8],
      ["coffee beans, 1 kg", 14, 46],
    ],
    finishes: ["organic", "single origin", "no. 7", "harvest 2025", "gift box"],
  },
  {
    name: "Cycling",
    things: [
      ["bicycle bell", 8, 35],
      ["saddle", 30, 160],
      ["pannier", 45, 170],
      ["helmet", 40, 190],
      ["floor pump", 25, 95],
      ["lock", 20, 130],
      ["mudguards", 18, 70],
    ],
    finishes: ["classic", "reflective", "honey leather", "British green", "raw steel"],
  },
];

/** Names of series, in front of the thing. */
export const series = [
  "Åre",
  "Bruma",
  "Cześć",
  "Dóra",
  "Ebb",
  "Fjell",
  "Grön",
  "Havre",
  "Iški",
  "Jökull",
  "Kōyō",
  "Lumière",
  "Mañana",
  "Niño",
  "Ōmi",
  "Pão",
  "Quíe",
  "Ruža",
  "Söder",
  "Tâm",
  "Ülo",
  "Vættir",
  "Wren",
  "Yuki 雪",
  "Zażółć",
] as const;

/** Ends of a description. */
export const remarks = [
  "Made in small batches.",
  "Repairs for ten years.",
  "Ships flat; no tools needed.",
  "A favourite since 1974.",
  "Each piece is a little different.",
  "Packed without plastic.",
  "Spare parts are in stock – for life.",
  "Designed in Zürich, made in Łódź.",
  "Our bestseller in 東京 and Αθήνα.",
  "5 % goes to reforestation 🌱.",
] as const;

/** A currency: about how much of it one EUR is, its decimals, and the endings of its prices in minor units. */
export interface DemoCurrency {
  readonly code: string;
  readonly perEur: number;
  readonly decimals: 0 | 2 | 3;
  /** Prices are a multiple of this many minor units, less `below`. */
  readonly step: number;
  readonly below: number;
  /** How many of 100 products are sold in it. */
  readonly share: number;
}

export const currencies: readonly DemoCurrency[] = [
  { code: "EUR", perEur: 1, decimals: 2, step: 50, below: 1, share: 40 },
  { code: "USD", perEur: 1.1, decimals: 2, step: 100, below: 1, share: 22 },
  { code: "GBP", perEur: 0.85, decimals: 2, step: 50, below: 0, share: 12 },
  { code: "JPY", perEur: 165, decimals: 0, step: 100, below: 20, share: 12 },
  { code: "SEK", perEur: 11.3, decimals: 2, step: 1_000, below: 100, share: 8 },
  { code: "KWD", perEur: 0.34, decimals: 3, step: 250, below: 0, share: 6 },
];
