curl -X POST https://smmcode.com/api/v1/external/chat/completions \
-H "Authorization: Bearer YOUR_API_KEY" \
-H "Content-Type: application/json" \
-d '{
"model": "anthropic/claude-3.5-sonnet",
"messages": [
{"role": "user", "content": "Привет!"}
],
"temperature": 0.7,
"max_tokens": 2048
}'
