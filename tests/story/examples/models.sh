curl https://smmcode.com/api/v1/external/models \
-H "Authorization: Bearer YOUR_API_KEY"
