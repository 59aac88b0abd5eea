"""Usage as each host reports it, what it has to be read as, and what it costs: the golden invoices.

A table is one host's form of usage: on the left its own numbers, which are put into the JSON it
sends, on the right the disjoint kinds that they mean. `.` is 0. Each row is an invoice for each
model that the host serves. What it comes to is worked out by `fakes/bookkeeper.py`, with no help of
the code under test.
"""
# ruff: noqa: E501 -- a row of a table is one line

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from fakes.bookkeeper import amount, costs, decimal

KINDS = {
    "in": "input_uncached",
    "read": "cache_read",
    "w5m": "cache_write_5m",
    "w1h": "cache_write_1h",
    "heard": "audio_input",
    "text": "output_text",
    "think": "reasoning",
    "image": "image",
    "found": "web_searches",
    "ontop": "written_on_top",
}


class Host(NamedTuple):
    """One form of usage: who sends it, and what it looks like on the wire."""

    name: str
    dialect: str
    models: tuple[str, ...]
    wire: str
    table: str
    cost: str = "unknown"
    """What the report says the call cost us: `unknown`, a column in `ticks`, or `priced`, which is
    the catalog's own price to the last digit, or `byok`, that price beside a fee."""


class Invoice(NamedTuple):
    """One report of usage for one model, and what has to become of it."""

    host: Host
    case: str
    model: str
    numbers: dict[str, str]
    kinds: dict[str, int]
    cost: Fraction | None

    @property
    def name(self) -> str:
        return f"{self.host.name}: {self.case}, {self.model}"

    def on_the_wire(self, frame: str) -> bytes:
        """What a frame holds when this usage, or single numbers of it, are put into it."""
        text = frame.replace("USAGE", self.host.wire).replace("MODEL", self.model)
        return (text % self.numbers).encode()


# Tables to invoices ---------------------------------------------------------------------------


def invoices(*hosts: Host) -> list[Invoice]:
    return [
        _invoice(host, model, *row)
        for host in hosts
        for row in _rows(host.table)
        for model in host.models
    ]


def _rows(table: str) -> Iterator[tuple[str, dict[str, str], dict[str, int]]]:
    lines = [line for line in table.splitlines() if line.strip()]
    head, _, kinds_head = lines[0].partition("|")
    for line in lines[1:]:
        numbers, said, case = (part.strip() for part in line.split("|"))
        left = dict(zip(head.split(), _numbers(numbers), strict=True))
        right = dict(zip(kinds_head.partition("|")[0].split(), _numbers(said), strict=True))
        yield case, left, {KINDS[kind]: int(count) for kind, count in right.items()}


def _numbers(text: str) -> list[str]:
    return ["0" if word == "." else word for word in text.split()]


def _invoice(
    host: Host, model: str, case: str, numbers: dict[str, str], kinds: dict[str, int]
) -> Invoice:
    cost = None
    if host.cost == "ticks":
        cost = Fraction(int(numbers["ticks"]), 10**10)
    elif host.cost in ("priced", "byok"):
        price = amount(costs()[model], kinds)
        numbers = {**numbers, "price": decimal(price)}
        cost = price + Fraction(numbers.get("fee", "0"))
    return Invoice(host, case, model, numbers, kinds, cost)


# The hosts ------------------------------------------------------------------------------------

OPENAI_MODELS = (
    "openai/gpt-5.2",
    "openai/gpt-5.2-chat",
    "openai/gpt-5",
    "openai/gpt-5-mini",
    "openai/gpt-5-nano",
)
XAI_MODELS = ("x-ai/grok-4", "x-ai/grok-4.1-fast", "x-ai/grok-3-mini-beta")
QWEN_MODELS = ("qwen/qwen3-32b", "qwen/qwen3-235b-a22b")
GROQ_MODELS = ("openai/gpt-oss-120b", "meta-llama/llama-4-scout", "meta-llama/llama-4-maverick")
OPEN_MODELS = (*GROQ_MODELS, *QWEN_MODELS, "deepseek/deepseek-v3.1-terminus")
GEMINI_MODELS = (
    "google/gemini-3-flash-preview",
    "google/gemini-3-pro-preview",
    "google/gemini-2.5-flash-lite",
    "google/gemini-2.5-pro",
)
CLAUDE_MODELS = (
    "anthropic/claude-haiku-4.5",
    "anthropic/claude-sonnet-4.5",
    "anthropic/claude-opus-4.1",
    "anthropic/claude-opus-4",
    "anthropic/claude-3.7-sonnet",
    "anthropic/claude-3.5-sonnet",
)
RESPONSES_MODELS = ("openai/gpt-5.1-codex-max", "openai/gpt-5.2-pro")
TIERED_MODELS = ("anthropic/claude-sonnet-4.5", "x-ai/grok-4", "x-ai/grok-4.1-fast")
TIERED_GEMINI = ("google/gemini-3-pro-preview", "google/gemini-2.5-pro")
AT_OPENROUTER = (
    *OPENAI_MODELS,
    *RESPONSES_MODELS,
    *XAI_MODELS,
    *OPEN_MODELS,
    *CLAUDE_MODELS,
)

OPENAI = Host(
    "OpenAI",
    "openai-chat",
    OPENAI_MODELS,
    '{"prompt_tokens":%(prompt)s,"completion_tokens":%(completion)s,"total_tokens":%(total)s,'
    '"prompt_tokens_details":{"cached_tokens":%(cached)s,"cache_write_tokens":%(written)s,'
    '"audio_tokens":%(audio)s},"completion_tokens_details":{"reasoning_tokens":%(reasoning)s,'
    '"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":20}}',
    """
    prompt cached written audio completion reasoning  total |    in   read  w5m heard  text  think | case
        53      .       .     .         15         .     68 |    53      .    .     .    15      . | nothing cached
      2000   1536       .     .        300       256   2300 |   464   1536    .     .    44    256 | cached and reasoning are inside
        10      .       .     .         30         .     40 |    10      .    .     .    30      . | rejected predictions are inside and charged
       100      .       .    60          1         .    101 |    40      .    .    60     1      . | a voice is heard
       100     80       .    60          1         .    101 |     .     80    .    20     1      . | a voice out of the cache is cached
      4020      .    4012     .         50         .   4070 |     8      . 4012     .    50      . | written to the cache
      6000   2000    3000     .         10        10   6010 |  1000   2000 3000     .     .     10 | read, written, and only thought
         1      .       .     .          1         .      2 |     1      .    .     .     1      . | the smallest
    272000 271999       .     .     128000    127999 400000 |     1 271999    .     .     1 127999 | the largest
        40      .       .     .       2048      2048   2088 |    40      .    .     .     .   2048 | max_tokens spent on thinking
        20      .       .     .        400         .    420 |    20      .    .     .   400      . | four choices, one prompt
    """,
)

XAI = Host(
    "xAI",
    "openai-chat",
    XAI_MODELS,
    '{"prompt_tokens":%(prompt)s,"completion_tokens":%(completion)s,"total_tokens":%(total)s,'
    '"prompt_tokens_details":{"text_tokens":%(prompt)s,"audio_tokens":0,"image_tokens":0,'
    '"cached_tokens":%(cached)s},"completion_tokens_details":{"reasoning_tokens":%(reasoning)s,'
    '"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0},'
    '"num_sources_used":0,"cost_in_usd_ticks":%(ticks)s}',
    """
    prompt cached completion reasoning  total       ticks |     in   read text think | case
      1889      .         52       161   2102    88620000 |   1889      .   52   161 | reasoning outside, recorded
       687    679         69       118    874    33382500 |      8    679   69   118 | cached and reasoning
        20      .          5         .     25     1350000 |     20      .    5     . | no reasoning
        20      .          .      2048   2068           1 |     20      .    . 2048  | only reasoning; a tick is a nano begun
       300      .          1         1    302     9300001 |    300      .    1     1 | ticks are rounded up
    127999      .         10         . 128009  3841470000 | 127999      .   10     . | below the tier
    128000      .         10         . 128010  3841500000 | 128000      .   10     . | at the tier
    128001  64000         10        90 128101  7711560000 |  64001  64000   10    90 | above the tier, all of it dearer
    """,
    cost="ticks",
)

DASHSCOPE = Host(
    "DashScope",
    "openai-chat",
    QWEN_MODELS,
    '{"prompt_tokens":%(prompt)s,"completion_tokens":%(completion)s,"total_tokens":%(total)s,'
    '"completion_tokens_details":{"reasoning_tokens":%(reasoning)s},'
    '"prompt_tokens_details":{"cached_tokens":%(cached)s}}',
    """
    prompt cached completion reasoning total |   in read text think | case
        11      .         17         .    28 |   11    .   17     . | not thinking
      1024    512        900       700  1924 |  512  512  200   700 | thinking, half of it cached
     38000      .       2000      2000 40000 |38000    .    . 2000  | thinking to the end
    """,
)

DEEPSEEK = Host(
    "DeepSeek",
    "openai-chat",
    ("deepseek/deepseek-v3.1-terminus",),
    '{"prompt_tokens":%(prompt)s,"completion_tokens":%(completion)s,"total_tokens":%(total)s,'
    '"prompt_tokens_details":{"cached_tokens":%(hit)s},"completion_tokens_details":'
    '{"reasoning_tokens":%(reasoning)s},"prompt_cache_hit_tokens":%(hit)s,'
    '"prompt_cache_miss_tokens":%(miss)s}',
    """
    prompt   hit miss completion reasoning  total |  in  read text think | case
         6     .    6        212       198    218 |   6     .   14   198 | recorded
       100    64   36          5         .    105 |  36    64    5     . | hit and miss
    120000 119936  64       8192      8000 128192 |  64 119936 192  8000 | a long conversation
    """,
)

GROQ = Host(
    "Groq",
    "openai-chat",
    GROQ_MODELS,
    '{"queue_time":0.00491786,"prompt_tokens":%(prompt)s,"prompt_time":0.01460151,'
    '"completion_tokens":%(completion)s,"completion_time":0.11216431,"total_tokens":%(total)s,'
    '"total_time":0.12676582,"completion_tokens_details":{"reasoning_tokens":%(reasoning)s}}',
    """
    prompt completion reasoning total |   in text think | case
       304         49        23   353 |  304   26    23 | recorded
        72          9         .    81 |   72    9     . | no reasoning
     90001       8192      8191 98193 |90001    1  8191 | a long thought
    """,
)

VLLM = Host(
    "vLLM",
    "openai-chat",
    OPEN_MODELS,
    '{"prompt_tokens":%(prompt)s,"total_tokens":%(total)s,"completion_tokens":%(completion)s,'
    '"prompt_tokens_details":null}',
    """
    prompt completion total |   in text | case
        14          7    21 |   14    7 | no details, which are null
     30011       8192 38203 |30011 8192 | a long one
    """,
)

OLLAMA = Host(
    "Ollama, llama.cpp, Together",
    "openai-chat",
    OPEN_MODELS,
    '{"prompt_tokens":%(prompt)s,"completion_tokens":%(completion)s,"total_tokens":%(total)s}',
    """
    prompt completion total |  in text | case
         7          3    10 |   7    3 | no details at all
      4095          1  4096 |4095    1 | the whole context
    """,
)

_OPENROUTER_WIRE = (
    '{"prompt_tokens":%(prompt)s,"completion_tokens":%(completion)s,"total_tokens":%(total)s,'
    '"cost":%(price)s,"is_byok":false,"prompt_tokens_details":{"cached_tokens":%(cached)s,'
    '"cache_write_tokens":%(written)s,"audio_tokens":%(audio)s,"video_tokens":0},'
    '"cost_details":{"upstream_inference_cost":%(price)s,"upstream_inference_prompt_cost":0,'
    '"upstream_inference_completions_cost":0},"completion_tokens_details":{"reasoning_tokens":'
    '%(reasoning)s,"image_tokens":%(image)s,"audio_tokens":0},'
    '"server_tool_use_details":{"web_search_requests":%(searches)s}}'
)

OPENROUTER = Host(
    "OpenRouter",
    "openai-chat",
    AT_OPENROUTER,
    _OPENROUTER_WIRE,
    """
    prompt cached written audio completion reasoning image searches total |   in read  w5m heard text think image found | case
       254      .       .     .          5         .     .        .   259 |  254    .    .     .    5     .     .     . | nothing cached
      2649   2569      79     .         12         .     .        .  2661 |    1 2569   79     .   12     .     .     . | read and written
        43      .       .     .         36        13     .        .    79 |   43    .    .     .   23    13     .     . | reasoning is inside
      8174      .       .     .         30         .     .        1  8204 | 8174    .    .     .   30     .     .     1 | one search of the web
        10      .       .     4       1300         .  1290        .  1310 |    6    .    .     4   10     .  1290     . | a voice in, a picture out
        20      .       .     .         10        11     .        .    30 |   20    .    .     .    .    10     .     . | more reasoning than completion, recorded
      4100   4096       .     .       8192      8192     .        3 12292 |    4 4096    .     .    . 8192      .     3 | three searches and a long thought
    """,
    cost="priced",
)

OPENROUTER_GOOGLE = Host(
    "OpenRouter, Google's models",
    "openai-chat",
    GEMINI_MODELS,
    _OPENROUTER_WIRE,
    """
    prompt cached written audio completion reasoning image searches total |   in read  w5m ontop heard text think image found | case
      2168   2161    2161     .         10         .     .        .  2178 |    7 2161 2161  2161     .   10     .     .     . | written on top of read, recorded
      2168      .    2161     .         10         .     .        .  2178 | 2168    . 2161  2161     .   10     .     .     . | written for the first time
     10000   2000    2000     .         90        80     .        . 10090 | 8000 2000 2000  2000     .   10    80     .     . | a part is cached
        18      .       .     .         80        35     .        .    98 |   18    .    .     .     .   45    35     .     . | nothing cached
      1000      .       .   960          1         .     .        .  1001 |   40    .    .     .   960    1     .     .     . | half a minute of voice
        10      .       .     .       1300         .  1290        2  1310 |   10    .    .     .     .   10     .  1290     2 | a picture, and two searches
    """,
    cost="priced",
)

_LONG = """
    prompt cached written audio completion reasoning image searches  total |     in   read   w5m text think | case
    128000      .       .     .         10         .     .        . 128010 | 128000      .      .   10     . | at 128,000
    200000      .       .     .         10         .     .        . 200010 | 200000      .      .   10     . | at 200,000
    200001      .       .     .         10         .     .        . 200011 | 200001      .      .   10     . | one above 200,000
    201000 150000   50000     .       2000      1900     .        . 203000 |   1000 150000  50000  100  1900 | long by what is cached
    """

OPENROUTER_LONG = Host(
    "OpenRouter, long prompts", "openai-chat", TIERED_MODELS, _OPENROUTER_WIRE, _LONG, "priced"
)

OPENROUTER_GOOGLE_LONG = Host(
    "OpenRouter, Google's models, long prompts",
    "openai-chat",
    TIERED_GEMINI,
    _OPENROUTER_WIRE,
    """
    prompt cached written audio completion reasoning image searches  total |     in   read   w5m ontop text think | case
    200000 150000  150000     .         10         .     .        . 200010 |  50000 150000 150000 150000  10     . | what is on top lengthens no prompt
    200001 150000  150000     .        100        90     .        . 200101 |  50001 150000 150000 150000  10    90 | one above 200,000
    """,
    cost="priced",
)

OPENROUTER_OWN_KEY = Host(
    "OpenRouter, a key of the operator's own",
    "openai-chat",
    (*AT_OPENROUTER, *GEMINI_MODELS),
    '{"prompt_tokens":%(prompt)s,"completion_tokens":%(completion)s,"total_tokens":%(total)s,'
    '"cost":%(fee)s,"is_byok":true,"prompt_tokens_details":{"cached_tokens":%(cached)s},'
    '"cost_details":{"upstream_inference_cost":%(price)s},'
    '"completion_tokens_details":{"reasoning_tokens":%(reasoning)s}}',
    """
    prompt cached completion reasoning total        fee |  in read text think | case
       300      .         40        30   340          0 | 300    .   10    30 | no fee
      1300   1024         40         .  1340 0.00000305 | 276 1024   40     . | with a fee
    """,
    cost="byok",
)

OPENROUTER_2025 = Host(
    "OpenRouter in 2025",
    "openai-chat",
    ("anthropic/claude-sonnet-4.5", "openai/gpt-5-mini", "qwen/qwen3-32b"),
    '{"prompt_tokens":%(prompt)s,"completion_tokens":%(completion)s,"total_tokens":%(total)s,'
    '"cost":%(price)s,"is_byok":false,"prompt_tokens_details":{"cached_tokens":%(cached)s,'
    '"audio_tokens":0},"cost_details":{"upstream_inference_cost":null},'
    '"completion_tokens_details":{"reasoning_tokens":%(reasoning)s}}',
    """
    prompt cached completion reasoning total | in read text think | case
        43      .         36        13    79 | 43    .   23    13 | an upstream cost that is null
       100    100          1         .   101 |  .  100    1     . | all of it cached
    """,
    cost="priced",
)

ANTHROPIC = Host(
    "Anthropic",
    "anthropic",
    CLAUDE_MODELS,
    '{"input_tokens":%(input)s,"cache_creation_input_tokens":%(created)s,'
    '"cache_read_input_tokens":%(read)s,"cache_creation":{"ephemeral_5m_input_tokens":%(minutes)s,'
    '"ephemeral_1h_input_tokens":%(hour)s},"output_tokens":%(output)s,"output_tokens_details":'
    '{"thinking_tokens":%(thinking)s},"server_tool_use":{"web_search_requests":%(searches)s,'
    '"web_fetch_requests":0},"service_tier":"standard","inference_geo":"not_available"}',
    """
    input created   read minutes   hour output thinking searches |    in   read   w5m    w1h text think found | case
       43       .      .       .      .    282        .        . |    43      .     .      .  282     .     . | nothing cached, recorded
        1      79   2569      79      .     12        .        . |     1   2569    79      .   12     .     . | read, and written for five minutes
        3    4012      .       .   4012     50        .        . |     3      .     .   4012   50     .     . | written for an hour
       10    3000   1000    2000   1000     64       40        . |    10   1000  2000   1000   24    40     . | all at once, and some thought
       21       .      .       .      .   4096     4096        . |    21      .     .      .    .  4096     . | max_tokens spent on thinking
     4714       .      .       .      .    300        .        2 |  4714      .     .      .  300     .     2 | two searches, and what they brought in
     1000   49000 150000   19000  30000   2000     1500        . |  1000 150000 19000  30000  500  1500     . | at 200,000 by what is cached
     1001   49000 150000   19000  30000   2000     1500        1 |  1001 150000 19000  30000  500  1500     1 | one above 200,000
    """,
)

ANTHROPIC_NO_SPLIT = Host(
    "Anthropic, written without a split",
    "anthropic",
    CLAUDE_MODELS,
    '{"input_tokens":%(input)s,"cache_creation_input_tokens":%(created)s,'
    '"cache_read_input_tokens":%(read)s,"output_tokens":%(output)s}',
    """
    input created read output |  in read  w5m text | case
        8    4012    .     50 |   8    . 4012   50 | for five minutes, then
      512       . 1024      1 | 512 1024    .    1 | nothing written
    """,
)

GEMINI = Host(
    "Gemini",
    "gemini",
    GEMINI_MODELS,
    '{"promptTokenCount": %(prompt)s,"candidatesTokenCount": %(candidates)s,'
    '"totalTokenCount": %(total)s,"cachedContentTokenCount": %(cached)s,"promptTokensDetails": '
    '[{"modality": "TEXT","tokenCount": 1},{"modality": "AUDIO","tokenCount": %(audio)s}],'
    '"cacheTokensDetails": [{"modality": "AUDIO","tokenCount": %(recalled)s}],'
    '"candidatesTokensDetails": [{"modality": "IMAGE","tokenCount": %(picture)s}],'
    '"toolUsePromptTokenCount": %(tools)s,"thoughtsTokenCount": %(thoughts)s,'
    '"serviceTier": "standard"}',
    """
    prompt cached audio recalled tools candidates picture thoughts  total |     in   read heard text image think | case
        18      .     .        .     .         80       .       35    133 |     18      .     .   80     .    35 | thoughts stand beside, recorded
        46      .     .        .   980        293       .     1436   2755 |   1026      .     .  293     .  1436 | what tools read stands beside, recorded
      2168   2161     .        .     .         10       .        .   2178 |      7   2161     .   10     .     . | nearly all of it cached
      1000      .   960        .     .          1       .        .   1001 |     40      .   960    1     .     . | half a minute of voice
      1000    500   960      480     .          1       .        .   1001 |     20    500   480    1     .     . | half of the voice is cached
        10      .     .        .     .       1300    1290        .   1310 |     10      .     .   10  1290     . | a picture
         5      .     .        .     .          .       .        2      7 |      5      .     .    .     .     2 | max_tokens spent on thinking, recorded
    200000 150000     .        .     .         10       .        . 200010 |  50000 150000     .   10     .     . | at 200,000
    190000 150000     .        . 10001       100       .       90 200191 |  50001 150000     .  100     .    90 | one above, by what tools read
    """,
)

GEMINI_SHORT = Host(
    "Gemini, counts of nothing left out",
    "gemini",
    GEMINI_MODELS,
    '{"promptTokenCount": %(prompt)s,"candidatesTokenCount": %(candidates)s,'
    '"totalTokenCount": %(total)s,"promptTokensDetails": [{"modality": "TEXT","tokenCount": '
    "%(prompt)s}]}",
    """
    prompt candidates total | in text | case
        29         10    39 | 29   10 | text alone
         1          1     2 |  1    1 | the smallest
    """,
)

RESPONSES = Host(
    "OpenAI Responses",
    "openai-responses",
    (*RESPONSES_MODELS, "openai/gpt-5.2", "openai/gpt-5"),
    '{"input_tokens":%(input)s,"input_tokens_details":{"cached_tokens":%(cached)s,'
    '"cache_write_tokens":%(written)s},"output_tokens":%(output)s,"output_tokens_details":'
    '{"reasoning_tokens":%(reasoning)s},"total_tokens":%(total)s}',
    """
     input cached written output reasoning  total |    in   read  w5m  text  think | case
        21      .       .    203       192    224 |    21      .    .    11    192 | reasoning is inside, recorded
        21      .       .      3         .     24 |    21      .    .     3      . | no reasoning, recorded
      2000   1536       .    300       256   2300 |   464   1536    .    44    256 | cached is inside
      4020      .    4012     50         .   4070 |     8      . 4012    50      . | written to the cache
      6000   2000    3000     10        10   6010 |  1000   2000 3000     .     10 | read, written, and only thought
    272000 271999       . 128000    127999 400000 |     1 271999    .     1 127999 | the largest
    """,
)

RESPONSES_SHORT = Host(
    "OpenAI Responses, short",
    "openai-responses",
    RESPONSES_MODELS,
    '{"input_tokens":%(input)s,"input_tokens_details":{"cached_tokens":%(cached)s},'
    '"output_tokens":%(output)s,"output_tokens_details":{"reasoning_tokens":%(reasoning)s},'
    '"total_tokens":%(total)s}',
    """
    input cached output reasoning total |  in read text think | case
       40      .   2048      2048  2088 |  40    .    . 2048  | max_output_tokens spent on thinking
     1100   1024      1         .  1101 |  76 1024    1    .  | before writes were counted
    """,
)

HOUSE = Host(
    "A price of the operator's own",
    "openai-chat",
    ("house/everything",),
    _OPENROUTER_WIRE,
    """
    prompt cached written audio completion reasoning image searches total |   in read w5m heard text think image found | case
         1      .       .     .          .         .     .        .     1 |    1    .   .     .    .     .     .     . | a fee for the call, a token
       999    100     200    50        100        40    30        2  1099 |  649  100 200    50   30    40    30     2 | every kind, below the tiers
      1000    100     200    50        100        40    30        2  1100 |  650  100 200    50   30    40    30     2 | every kind, at a tier that is not strict
      5000   1000      10     .          7         .     .        .  5007 | 3990 1000  10     .    7     .     .     . | at a strict tier
      5001   1000      10     .          7         3     .        1  5008 | 3991 1000  10     .    4     3     .     1 | above it
    """,
    cost="priced",
)

HOSTS = (
    OPENAI,
    XAI,
    DASHSCOPE,
    DEEPSEEK,
    GROQ,
    VLLM,
    OLLAMA,
    OPENROUTER,
    OPENROUTER_GOOGLE,
    OPENROUTER_LONG,
    OPENROUTER_GOOGLE_LONG,
    OPENROUTER_OWN_KEY,
    OPENROUTER_2025,
    ANTHROPIC,
    ANTHROPIC_NO_SPLIT,
    GEMINI,
    GEMINI_SHORT,
    RESPONSES,
    RESPONSES_SHORT,
    HOUSE,
)
INVOICES = invoices(*HOSTS)
