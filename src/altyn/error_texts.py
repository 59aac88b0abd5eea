"""What every error says, in English and Russian. Braces name the facts of the error."""

LANGUAGES = ("en", "ru")

REASONS: dict[str, dict[str, str]] = {
    "range": {"en": "expected {low} to {high}", "ru": "ожидается от {low} до {high}"},
    "one_of": {"en": "expected one of {choices}", "ru": "ожидается одно из: {choices}"},
    "type": {"en": "expected {expected}, got {got}", "ru": "ожидается {expected}, получено {got}"},
    "date": {
        "en": "expected a date (2026-11-22) or a time as in RFC 3339",
        "ru": "ожидается дата (2026-11-22) или время по RFC 3339",
    },
    "twice": {"en": "it is given more than once", "ru": "указано больше одного раза"},
    "no_filter": {"en": "there is no such filter", "ru": "такого фильтра нет"},
    "name": {"en": "it is not a name", "ru": "это не имя"},
    "address": {"en": "it is no public http(s) address", "ru": "это не открытый адрес http(s)"},
    "cursor": {"en": "this cursor is not from this list", "ru": "этот курсор не из этого списка"},
    "not_on_sale": {"en": "is not on sale here", "ru": "здесь не продаётся"},
    "retired": {"en": "was retired on {retired_at}", "ru": "снята с обслуживания {retired_at}"},
    "replaced": {
        "en": "was retired on {retired_at}: call '{replaced_by}' instead",
        "ru": "снята с обслуживания {retired_at}: вызывайте вместо неё «{replaced_by}»",
    },
    "upstream": {
        "en": "the model's provider refused the request: {said}",
        "ru": "поставщик модели отклонил запрос: {said}",
    },
    "too_deep": {"en": "it is nested too deeply", "ru": "слишком глубокая вложенность"},
    "slow": {"en": "it did not arrive in {seconds:g} s", "ru": "оно не пришло за {seconds:g} с"},
    "no_object": {"en": "an object is expected", "ru": "ожидается объект"},
    "number": {"en": "it is not a finite number", "ru": "это не конечное число"},
    "http": {"en": "this is not HTTP/1.1", "ru": "это не HTTP/1.1"},
    "head_too_large": {
        "en": "they are larger than {limit_bytes} bytes",
        "ru": "они больше {limit_bytes} байт",
    },
    "header": {"en": "the header is malformed", "ru": "заголовок испорчен"},
    "both": {
        "en": "'{param}' and '{other}' say different things",
        "ru": "«{param}» и «{other}» противоречат друг другу",
    },
    "unpaired": {
        "en": "this tool message answers no earlier tool call",
        "ru": "это сообщение tool не отвечает ни на один вызов инструмента",
    },
}
"""Why a parameter is not valid; the facts in braces come with the error."""

MESSAGES: dict[str, dict[str, str]] = {
    "invalid_json": {
        "en": "The request body is not valid JSON: {reason}.",
        "ru": "Тело запроса не является корректным JSON: {reason}.",
    },
    "missing_parameter": {
        "en": "The parameter '{param}' is required.",
        "ru": "Не указан обязательный параметр «{param}».",
    },
    "invalid_parameter": {
        "en": "The parameter '{param}' is not valid: {reason}.",
        "ru": "Недопустимое значение параметра «{param}»: {reason}.",
    },
    "unsupported_parameter": {
        "en": "The model '{model}' does not support '{param}'. Remove it or choose another model.",
        "ru": "Модель «{model}» не поддерживает «{param}». Уберите его или выберите другую модель.",
    },
    "context_length_exceeded": {
        "en": "The messages are longer than the model's context of {context_length} tokens.",
        "ru": "Сообщения длиннее контекста модели: {context_length} токенов.",
    },
    "key_in_url": {
        "en": "An API key must not be sent in the URL, where it ends up in logs. "
        "Send it in the header 'Authorization: Bearer …' and replace this key.",
        "ru": "Ключ API нельзя передавать в адресе: он попадает в журналы. "
        "Передайте его в заголовке «Authorization: Bearer …» и замените этот ключ.",
    },
    "not_found": {"en": "There is nothing here.", "ru": "Здесь ничего нет."},
    "model_not_found": {
        "en": "The model '{model}' {reason}. GET /api/v1/external/models lists what is on sale.",
        "ru": "Модель «{model}» {reason}. Список моделей: GET /api/v1/external/models.",
    },
    "method_not_allowed": {
        "en": "This address takes {allowed}.",
        "ru": "Этот адрес принимает только {allowed}.",
    },
    "model_not_priced": {
        "en": "The model '{model}' has no price yet, so it cannot be called. Nothing was charged.",
        "ru": "У модели «{model}» ещё нет цены, поэтому вызвать её нельзя. Ничего не списано.",
    },
    "idempotency_conflict": {
        "en": "This Idempotency-Key was used for another request, or that request still runs. "
        "Nothing was charged again.",
        "ru": "Этот Idempotency-Key уже использован для другого запроса или тот запрос ещё "
        "выполняется. Повторно ничего не списано.",
    },
    "body_too_large": {
        "en": "The request body is larger than {limit_bytes} bytes.",
        "ru": "Тело запроса больше {limit_bytes} байт.",
    },
    "unsupported_media_type": {
        "en": "Send JSON: 'Content-Type: application/json', without compression.",
        "ru": "Отправьте JSON: «Content-Type: application/json», без сжатия.",
    },
    "missing_api_key": {
        "en": "No API key. Send the header 'Authorization: Bearer sk_live_…'.",
        "ru": "Нет ключа API. Передайте заголовок «Authorization: Bearer sk_live_…».",
    },
    "invalid_api_key": {
        "en": "This API key is not valid. Check that it was copied whole.",
        "ru": "Ключ API недействителен. Проверьте, что он скопирован целиком.",
    },
    "revoked_api_key": {
        "en": "This API key was revoked or disabled. The cabinet enables it or makes another.",
        "ru": "Ключ API отозван или отключён. Включить или создать новый можно в кабинете.",
    },
    "expired_api_key": {
        "en": "This API key has expired. Create a new one in the cabinet.",
        "ru": "Срок действия ключа API истёк. Создайте новый в личном кабинете.",
    },
    "insufficient_balance": {
        "en": "Not enough money: the request may cost up to {required} {currency}, "
        "available is {available} {currency}. Nothing was charged.",
        "ru": "Недостаточно средств: запрос может стоить до {required} {currency}, "
        "доступно {available} {currency}. Ничего не списано.",
    },
    "key_limit_exceeded": {
        "en": "The spend limit of this key ({limit} {currency}) would be exceeded. "
        "Nothing was charged.",
        "ru": "Лимит расходов этого ключа ({limit} {currency}) был бы превышен. Ничего не списано.",
    },
    "model_not_allowed": {
        "en": "This key may not call the model '{model}'.",
        "ru": "Этому ключу нельзя вызывать модель «{model}».",
    },
    "ip_not_allowed": {
        "en": "This key may not be used from your address.",
        "ru": "Этот ключ нельзя использовать с вашего адреса.",
    },
    "account_frozen": {
        "en": "This account is frozen. Write to support.",
        "ru": "Счёт заморожен. Обратитесь в поддержку.",
    },
    "insufficient_scope": {
        "en": "This key lacks the scope '{scope}'.",
        "ru": "У этого ключа нет права «{scope}».",
    },
    "rate_limit_exceeded": {
        "en": "Too many {unit}: the limit is {limit} a minute. Try again in {retry_after_s} s.",
        "ru": "Превышен лимит: {limit} в минуту ({unit}). Повторите через {retry_after_s} с.",
    },
    "too_many_concurrent_requests": {
        "en": "Too many requests at once: the limit is {limit}. Wait for one to finish.",
        "ru": "Слишком много одновременных запросов: предел {limit}. Дождитесь завершения одного.",
    },
    "internal_error": {
        "en": "Something went wrong on our side. Nothing was charged. Tell support the request id.",
        "ru": "Ошибка на нашей стороне. Ничего не списано. Сообщите поддержке номер запроса.",
    },
    "upstream_error": {
        "en": "The model's provider failed. Nothing was charged; try again.",
        "ru": "Сбой у поставщика модели. Ничего не списано; попробуйте ещё раз.",
    },
    "upstream_invalid_response": {
        "en": "The model's provider gave an unreadable answer. Nothing was charged; try again.",
        "ru": "Поставщик модели ответил неразборчиво. Ничего не списано; попробуйте ещё раз.",
    },
    "model_unavailable": {
        "en": "The model '{model}' cannot be served now: it has no working route. "
        "The operator must add one ('altyn provider add', 'altyn route add'). "
        "Nothing was charged.",
        "ru": "Модель «{model}» сейчас недоступна: у неё нет рабочего маршрута. "
        "Оператор должен его добавить («altyn provider add», «altyn route add»). "
        "Ничего не списано.",
    },
    "overloaded": {
        "en": "The service is overloaded. Nothing was charged; try again in {retry_after_s} s.",
        "ru": "Сервис перегружен. Ничего не списано; повторите через {retry_after_s} с.",
    },
    "upstream_timeout": {
        "en": "The model's provider did not answer in time. Nothing was charged; try again.",
        "ru": "Поставщик модели не ответил вовремя. Ничего не списано; попробуйте ещё раз.",
    },
    "operator_error": {"en": "{sentence}", "ru": "{sentence}"},
}
