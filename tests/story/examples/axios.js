const axios = require('axios');
const url = 'https://smmcode.com/api/v1/external/chat/completions';
const headers = {
'Authorization': 'Bearer YOUR_API_KEY',
'Content-Type': 'application/json'
};
const data = {
model: 'anthropic/claude-3.5-sonnet',
messages: [
{ role: 'user', content: 'Привет!' }
]
};
axios.post(url, data, { headers })
.then(response => console.log(response.data))
.catch(error => console.error(error));
