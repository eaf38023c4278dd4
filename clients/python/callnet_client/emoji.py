"""The 64 emoji of a verification code (docs/verification.md), as ``demo/emoji.js`` and ``words`` have them."""

from __future__ import annotations

from typing import Final, NamedTuple


class Emoji(NamedTuple):
    """An emoji of the code."""

    sign: str
    english: str
    chinese: str


EMOJI: Final = (
    Emoji("🐶", "dog", "狗"),
    Emoji("🐱", "cat", "猫"),
    Emoji("🐰", "rabbit", "兔子"),
    Emoji("🐨", "koala", "考拉"),
    Emoji("🐷", "pig", "猪"),
    Emoji("🐵", "monkey", "猴子"),
    Emoji("🐔", "chicken", "鸡"),
    Emoji("🐧", "penguin", "企鹅"),
    Emoji("🐢", "turtle", "乌龟"),
    Emoji("🐍", "snake", "蛇"),
    Emoji("🐘", "elephant", "大象"),
    Emoji("🐫", "camel", "骆驼"),
    Emoji("🐌", "snail", "蜗牛"),
    Emoji("🐙", "octopus", "章鱼"),
    Emoji("🐬", "dolphin", "海豚"),
    Emoji("🐞", "ladybug", "瓢虫"),
    Emoji("🌵", "cactus", "仙人掌"),
    Emoji("🌲", "tree", "松树"),
    Emoji("🌹", "rose", "玫瑰"),
    Emoji("🌻", "sunflower", "向日葵"),
    Emoji("🍀", "clover", "四叶草"),
    Emoji("🍄", "mushroom", "蘑菇"),
    Emoji("🍋", "lemon", "柠檬"),
    Emoji("🍌", "banana", "香蕉"),
    Emoji("🍇", "grapes", "葡萄"),
    Emoji("🍉", "watermelon", "西瓜"),
    Emoji("🍒", "cherries", "樱桃"),
    Emoji("🍍", "pineapple", "菠萝"),
    Emoji("🌽", "corn", "玉米"),
    Emoji("🍔", "hamburger", "汉堡"),
    Emoji("🎂", "cake", "蛋糕"),
    Emoji("🍦", "ice cream", "冰淇淋"),
    Emoji("☕", "coffee", "咖啡"),
    Emoji("⚽", "football", "足球"),
    Emoji("🎈", "balloon", "气球"),
    Emoji("🎁", "gift", "礼物"),
    Emoji("🎸", "guitar", "吉他"),
    Emoji("🎲", "dice", "骰子"),
    Emoji("🔔", "bell", "铃铛"),
    Emoji("🔑", "key", "钥匙"),
    Emoji("🔨", "hammer", "锤子"),
    Emoji("💡", "lamp", "灯泡"),
    Emoji("📺", "television", "电视"),
    Emoji("💎", "diamond", "钻石"),
    Emoji("👑", "crown", "皇冠"),
    Emoji("👓", "glasses", "眼镜"),
    Emoji("👟", "shoe", "鞋子"),
    Emoji("☔", "umbrella", "雨伞"),
    Emoji("⏰", "clock", "闹钟"),
    Emoji("⚓", "anchor", "船锚"),
    Emoji("⛵", "sailboat", "帆船"),
    Emoji("🚲", "bicycle", "自行车"),
    Emoji("🚌", "bus", "公交车"),
    Emoji("🚀", "rocket", "火箭"),
    Emoji("🚁", "helicopter", "直升机"),
    Emoji("🏠", "house", "房子"),
    Emoji("⛺", "tent", "帐篷"),
    Emoji("🌙", "moon", "月亮"),
    Emoji("⭐", "star", "星星"),
    Emoji("⚡", "lightning", "闪电"),
    Emoji("⛄", "snowman", "雪人"),
    Emoji("🌈", "rainbow", "彩虹"),
    Emoji("🌍", "globe", "地球"),
    Emoji("📕", "book", "书"),
)
"""Their order is part of the protocol. All are in Unicode 6.0 and are shown as pictures without a further character.
They can be told apart at a glance and by ear: no flags, no people, no similar ones."""
