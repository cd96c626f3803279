import{g as a}from"./index-QQeNSE2v.js";function u(r,o){return a("rules",r===""?{}:{type:r},o).then(t=>t.data.groups)}export{u as l};
